// Equations that are wider than their column shrink until they fit, to half their size at most.
const shrink = () => document.querySelectorAll('mjx-container[display="true"]').forEach((box) => {
  box.style.fontSize = "";
  const [room, need] = [box.clientWidth, box.scrollWidth];
  if (room && need > room) {
    box.style.fontSize = `${Math.max(0.5, (0.98 * room) / need) * parseFloat(getComputedStyle(box).fontSize)}px`;
  }
});

// In a table that is wider than its column, numbers break before their spread or interval, so that more columns are seen.
const fold = (where) => where.querySelectorAll("article table:not([data-folded])").forEach((table) => {
  if (table.offsetWidth <= table.closest("details, .cell_output, article").clientWidth) return;
  table.dataset.folded = "";
  table.querySelectorAll("td, td p").forEach((cell) => {
    cell.style.whiteSpace = "normal";
    cell.childNodes.forEach((part) => { if (part.data) part.data = part.data.replace(/\u00a0(?=[(±])/g, " "); });
  });
});

window.addEventListener("load", () => window.MathJax && MathJax.startup && MathJax.startup.promise.then(shrink));
window.addEventListener("load", () => fold(document));
window.addEventListener("resize", () => { shrink(); fold(document); });
document.addEventListener("toggle", (event) => fold(event.target), true); // what is folded has no width
