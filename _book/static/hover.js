/* Figures say what is under the pointer: laf_utils.book.base.style.show lays [percent from the left, percent from the top, words]
   beside a picture. Nothing is fetched. Without this file, and on paper, the picture stands by itself. */
document.addEventListener("DOMContentLoaded", () => {
  const REACH = 18; // pixels
  const note = document.createElement("div");
  note.className = "laf-hover-note";
  note.hidden = true;
  document.body.append(note);
  document.querySelectorAll("script.laf-hover").forEach((data) => {
    const points = JSON.parse(data.textContent);
    const before = [...document.querySelectorAll("article img")].filter(
      (image) => image.compareDocumentPosition(data) & Node.DOCUMENT_POSITION_FOLLOWING);
    const image = before[before.length - 1];
    if (!image) return;
    const show = (event) => {
      const box = image.getBoundingClientRect(), style = getComputedStyle(image);
      const [left, top] = [box.left + parseFloat(style.paddingLeft), box.top + parseFloat(style.paddingTop)];
      const width = box.right - parseFloat(style.paddingRight) - left;
      const height = box.bottom - parseFloat(style.paddingBottom) - top;
      const apart = ([x, y]) => Math.hypot(left + (x * width) / 100 - event.clientX, top + (y * height) / 100 - event.clientY);
      const near = points.reduce((best, point) => (apart(point) < apart(best) ? point : best));
      note.hidden = apart(near) > REACH;
      note.textContent = near[2];
      const room = document.documentElement.clientWidth - note.offsetWidth - 8;
      note.style.left = `${Math.max(8, Math.min(event.clientX + 12, room))}px`;
      note.style.top = `${event.clientY + 14}px`;
    };
    image.addEventListener("pointermove", show);
    image.addEventListener("pointerdown", show);
    image.addEventListener("pointerleave", () => (note.hidden = true));
  });
});
