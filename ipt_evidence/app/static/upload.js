// Reads a chosen file in the browser and sends its content; moves between the marks of a plot by arrow keys.
(() => {
  "use strict";

  const say = (text) => {
    document.getElementById("upload-result").textContent = text;
  };

  const base64 = (buffer) => {
    const bytes = new Uint8Array(buffer);
    let text = "";
    for (let i = 0; i < bytes.length; i += 0x8000) {
      text += String.fromCharCode.apply(null, bytes.subarray(i, i + 0x8000));
    }
    return btoa(text);
  };

  const send = async (input) => {
    const file = input.files && input.files[0];
    const most = Number(input.dataset.maxBytes);
    if (!file) return say("");
    if (file.size > most) {
      input.value = "";
      const size = (file.size / 1e6).toFixed(1);
      return say(`${file.name} has ${size} MB; an upload may have at most ${most / 1e6} MB.`);
    }
    say(`Reading ${file.name} …`);
    try {
      const content = base64(await file.arrayBuffer());
      window.Shiny.setInputValue("upload", { name: file.name, content }, { priority: "event" });
    } catch (error) {
      say(`${file.name} could not be read by the browser; choose it again.`);
    }
    input.value = ""; // so that the same file can be chosen again after it was corrected
  };

  document.addEventListener("change", (event) => {
    const input = event.target.closest && event.target.closest("input[type=file]");
    if (input) send(input);
  });

  // The answer has come: the browser need not keep the content for a later session.
  document.addEventListener("ipt:upload-done", () => window.Shiny.setInputValue("upload", null));

  const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
  document.addEventListener("keydown", (event) => {
    const mark = event.target.closest && event.target.closest("[data-mark]");
    if (!mark || !(event.key in steps || event.key === "Home" || event.key === "End")) return;
    const marks = [...mark.ownerSVGElement.querySelectorAll("[data-mark]")];
    const at = marks.indexOf(mark) + (steps[event.key] || 0);
    const next = event.key === "Home" ? marks[0] : event.key === "End" ? marks.at(-1) : marks[at];
    event.preventDefault();
    if (!next) return;
    mark.setAttribute("tabindex", "-1");
    next.setAttribute("tabindex", "0");
    next.focus();
  });
})();
