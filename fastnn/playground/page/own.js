// Points that the user places: by clicks, or by a cross that the arrow keys move.

const STEP = 0.05;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

export class OwnPoints {
  constructor(plane, tools, onChange) {
    Object.assign(this, { plane, tools, onChange, points: [], active: false, at: [0, 0] });
    this.brush = tools.querySelector("#brush");
    const { canvas } = plane;
    canvas.addEventListener("click", (event) => this.active && this.add(plane.at(event)));
    canvas.addEventListener("keydown", (event) => this.active && this.press(event));
    canvas.addEventListener("focus", () => this.active && canvas.matches(":focus-visible") && this.show(this.at));
    canvas.addEventListener("blur", () => this.show(null));
    tools.querySelector("#undo").addEventListener("click", () => this.change(this.points.slice(0, -1), "Taken back"));
    tools.querySelector("#clear").addEventListener("click", () => this.change([], "All removed"));
  }

  say(text) {
    this.tools.querySelector("#placed").textContent = text;
  }

  // Whether points are placed, and of how many classes.
  set(active, classes) {
    this.active = active;
    this.tools.hidden = !active;
    const { canvas } = this.plane;
    canvas.classList.toggle("own", active);
    canvas.setAttribute("role", active ? "application" : "img");
    if (active) {
      canvas.setAttribute("aria-describedby", "help");
      canvas.tabIndex = 0;
    } else {
      canvas.removeAttribute("aria-describedby");
      canvas.removeAttribute("tabindex");
    }
    const chosen = Math.min(Number(this.brush.value || 0), classes - 1);
    this.brush.replaceChildren(...Array.from({ length: classes }, (_, k) => new Option(`class ${k + 1}`, k)));
    this.brush.value = chosen;
    this.points = this.points.filter(([, , label]) => label < classes);
  }

  press(event) {
    const arrow = ARROWS[event.key];
    if (arrow) {
      const step = STEP * (event.shiftKey ? 5 : 1);
      this.at = this.at.map((part, i) => Math.min(1, Math.max(-1, Number((part + step * arrow[i]).toFixed(3)))));
      this.show(this.at);
      this.say(`${this.at[0].toFixed(2)}, ${this.at[1].toFixed(2)}`);
    } else if (event.key === "Enter" || event.key === " ") this.add(this.at);
    else if (event.key === "Delete" || event.key === "Backspace") this.removeNearest();
    else return;
    event.preventDefault();
  }

  show(at) {
    this.plane.cursor = at;
    this.plane.draw();
  }

  add([x, y]) {
    const within = (part) => Number(Math.min(1.1, Math.max(-1.1, part)).toFixed(3));
    const label = Number(this.brush.value);
    this.change([...this.points, [within(x), within(y), label]], `Point of class ${label + 1} placed`);
  }

  removeNearest() {
    const distance = ([x, y]) => (x - this.at[0]) ** 2 + (y - this.at[1]) ** 2;
    const nearest = this.points.reduce((best, point) => (best && distance(best) <= distance(point) ? best : point), null);
    this.change(this.points.filter((point) => point !== nearest), "Nearest point removed");
  }

  change(points, what) {
    this.points = points;
    this.onChange();
    this.say(`${what}; ${points.length} in all`);
  }
}
