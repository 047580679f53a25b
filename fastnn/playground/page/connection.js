// The websocket: JSON out; JSON and frames in.

export function connect({ onOpen, onFrame, onMessage, onClose }) {
  const address = new URL("live", location.href);
  address.protocol = "ws:";
  const socket = new WebSocket(address);
  socket.binaryType = "arraybuffer";
  socket.addEventListener("open", onOpen);
  socket.addEventListener("message", ({ data }) => {
    if (typeof data === "string") onMessage(JSON.parse(data));
    else onFrame(data);
  });
  socket.addEventListener("close", ({ reason }) => onClose(reason));
  return (command, values = {}) => {
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ do: command, ...values }));
  };
}
