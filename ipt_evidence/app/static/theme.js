// The colours the reader chose before, set before the page is drawn.
(() => {
  let kept = null;
  try { kept = localStorage.getItem("ipt-theme"); } catch { /* storage may be forbidden */ }
  if (kept === "light" || kept === "dark") document.documentElement.dataset.theme = kept;
})();
