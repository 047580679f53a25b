// The list of versions. Its links lead to first pages; on a server they lead to the same page, where a version has it,
// and the rows come from switcher.json of this site, to which later releases add theirs.
(() => {
  const root = new URL(document.documentElement.dataset.content_root, location.href);
  const page = `${DOCUMENTATION_OPTIONS.pagename}.html`;

  async function follow(event) {
    event.preventDefault();
    const first = event.currentTarget.href;
    const same = new URL(page, first);
    const answer = await fetch(same, { method: "HEAD" });
    location.href = answer.ok ? same : first;
  }

  function link(row, shown) {
    const element = document.createElement("a");
    element.className = "dropdown-item list-group-item list-group-item-action py-1";
    element.textContent = row.name;
    if (row.version === shown) {
      element.href = location.href;
      element.setAttribute("aria-current", "true");
    } else {
      element.href = new URL("index.html", new URL(row.url, root));
      element.addEventListener("click", follow);
    }
    return element;
  }

  document.addEventListener("DOMContentLoaded", () => {
    for (const menu of document.querySelectorAll(".versions")) {
      for (const element of menu.querySelectorAll("[aria-current]")) element.href = location.href;
      if (location.protocol === "file:") continue;
      const button = menu.parentElement.querySelector("button");
      button.addEventListener("click", async () => {
        const rows = await (await fetch(new URL("switcher.json", root))).json();
        menu.replaceChildren(...rows.map((row) => link(row, menu.dataset.version)));
      }, { once: true });
    }
  });
})();
