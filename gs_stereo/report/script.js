"use strict";
(function () {
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const dark = () =>
    root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const show = () => { button.textContent = dark() ? "Light" : "Dark"; };
  button.hidden = false;
  button.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; show(); });
  show();
  for (const picture of document.querySelectorAll(".flick")) {
    picture.title = "Press and hold to stop on the left image";
    const right = picture.querySelectorAll("img")[1];
    picture.addEventListener("pointerdown", () => { right.style.animation = "none"; right.style.opacity = 0; });
    for (const end of ["pointerup", "pointerleave", "pointercancel"])
      picture.addEventListener(end, () => { right.style.animation = ""; right.style.opacity = ""; });
  }
})();
