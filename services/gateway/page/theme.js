// Light or dark before anything is drawn: a page that turns dark a moment later hurts.

{
  let kept = null;
  try {
    kept = localStorage.getItem("theme");
  } catch {
    // A browser that keeps nothing for this page follows the system's choice.
  }
  if (kept === "light" || kept === "dark") document.documentElement.dataset.theme = kept;
}
