/* Equations that are wider than their column shrink until they fit, to half their size at most. */
const fit = () => document.querySelectorAll('mjx-container[display="true"]').forEach((box) => {
  box.style.fontSize = "";
  const [room, need] = [box.clientWidth, box.scrollWidth];
  if (room && need > room) {
    box.style.fontSize = `${Math.max(0.5, (0.98 * room) / need) * parseFloat(getComputedStyle(box).fontSize)}px`;
  }
});
window.addEventListener("load", () => window.MathJax && MathJax.startup && MathJax.startup.promise.then(fit));
window.addEventListener("resize", fit);
