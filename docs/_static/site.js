// The buttons that open parts of the navigation show an arrow only.
for (const button of document.querySelectorAll("summary:has(> .toctree-toggle)")) {
  const page = button.closest("li").querySelector("a");
  button.setAttribute("aria-label", `Pages of ${page.textContent.trim()}`);
}

// The keyboard reaches the frame of a picture where it scrolls.
const frames = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }
});
for (const frame of document.querySelectorAll(".picture, .bd-article p:has(> img)")) frames.observe(frame);
