// The browser's side of the explorer: gathers the choices into one query, sends it, and puts the answers in place.
(() => {
  "use strict";
  const body = document.body;
  const form = document.getElementById("choices");
  const byId = (id) => document.getElementById(id);
  const state = { out: [], vs: "", tab: "forest", turn: 0, query: body.dataset.query || "", timer: 0 };

  // ---- the state that is not in the form -------------------------------------------------------------------------
  function readQuery(query) {
    const given = new URLSearchParams(query);
    state.out = given.getAll("out");
    state.vs = given.get("vs") || "";
    state.tab = given.get("tab") || "forest";
    state.query = query;
  }

  function currentQuery() {
    const query = new URLSearchParams();
    const given = new URLSearchParams(state.query);
    for (const [name, value] of new FormData(form)) if (value !== "") query.append(name, value);
    for (const name of ["group", "moderator", "axis"]) {
      if (!byId(name) && given.get(name)) query.set(name, given.get(name));
    }
    for (const trial of state.out) query.append("out", trial);
    if (state.tab !== "forest") query.set("tab", state.tab);
    if (state.vs) query.set("vs", state.vs);
    return query.toString();
  }

  // ---- asking ----------------------------------------------------------------------------------------------------
  function connected() { return body.dataset.connected === "true"; }

  function ask(query, { withForm = false } = {}) {
    state.turn += 1;
    body.dataset.busy = "true";
    if (!connected()) return;
    Shiny.setInputValue("query", { query, turn: state.turn, form: withForm }, { priority: "event" });
  }

  function changed(wait = 60) {
    clearTimeout(state.timer);
    state.timer = setTimeout(() => ask(currentQuery()), wait);
  }

  // ---- answering -------------------------------------------------------------------------------------------------
  function focusKey(element) {
    if (!element || element === body) return null;
    if (element.id) return `#${CSS.escape(element.id)}`;
    for (const name of ["data-tick", "data-card", "data-download"]) {
      const value = element.getAttribute(name);
      if (value !== null) return `${element.tagName.toLowerCase()}[${name}="${CSS.escape(value)}"]`;
    }
    return null;
  }

  function place(id, html) {
    const target = id === "choices" ? form : byId(id);
    if (!target) return;
    if (id === "sentence" || id === "question" || id === "narrowed") {
      if (target.innerHTML !== html) target.innerHTML = html;
      return;
    }
    const key = focusKey(document.activeElement);
    const holds = target.contains(document.activeElement);
    const open = new Set([...target.querySelectorAll("details[open][id]")].map((d) => d.id));
    const shut = new Set([...target.querySelectorAll("details:not([open])[id]")].map((d) => d.id));
    const scroller = target.querySelector(".scroll");
    const left = scroller ? scroller.scrollLeft : 0;
    const earlier = new Map([...target.querySelectorAll("[data-job]")].map((part) => [part.id, part.innerHTML]));
    target.innerHTML = html;
    for (const part of target.querySelectorAll("[data-job]")) {
      if (earlier.has(part.id)) { part.innerHTML = earlier.get(part.id); part.classList.add("old"); }
    }
    for (const name of open) { const d = byId(name); if (d) d.open = true; }
    if (id === "choices") for (const name of shut) { const d = byId(name); if (d && !d.hasAttribute("data-force")) d.open = d.open || false; }
    const again = target.querySelector(".scroll");
    if (again) again.scrollLeft = left;
    if (holds && key) { const next = target.querySelector(key); if (next) next.focus({ preventScroll: true }); }
    if (id.startsWith("later-")) { target.removeAttribute("aria-busy"); target.classList.remove("old"); }
  }

  function reveal(tab) {
    const strip = tab.closest(".tabs");
    const left = tab.offsetLeft - strip.offsetLeft;
    if (left < strip.scrollLeft || left + tab.offsetWidth > strip.scrollLeft + strip.clientWidth) {
      strip.scrollLeft = left - 40;
    }
  }

  function showTab(name) {
    for (const tab of document.querySelectorAll('[role="tab"]')) {
      const chosen = tab.id === `tab-${name}`;
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
      byId(tab.getAttribute("aria-controls")).hidden = !chosen;
      if (chosen) reveal(tab);
    }
  }

  function receive(message) {
    if (message.file) return receiveFile(message.file);
    if (message.card !== undefined) return openCard(message.card);
    if (message.turn !== undefined && message.turn < state.turn && message.turn > 0) return undefined;
    if (message.query !== undefined) {
      const address = `${location.pathname}${message.query ? `?${message.query}` : ""}`;
      if (message.query !== state.query) {
        history.pushState({}, "", address);
      } else if (location.search !== (message.query ? `?${message.query}` : "")) {
        history.replaceState({}, "", address);
      }
      readQuery(message.query);
      document.title = message.title;
      emptyOtherPanels(message.tab);
    }
    for (const [id, html] of Object.entries(message.regions || {})) place(id, html);
    if (message.tab) showTab(message.tab);
    if (message.uploaded) document.dispatchEvent(new CustomEvent("ipt:upload-done"));
    if (message.query !== undefined) {
      body.dataset.turn = String(Number(body.dataset.turn) + 1);
      body.dataset.busy = "false";
    }
    return undefined;
  }

  // Only one tab is in the page at a time, so that identifiers stay unique and old numbers are never seen.
  function emptyOtherPanels(name) {
    for (const panel of document.querySelectorAll('[role="tabpanel"]')) {
      if (panel.id !== `panel-${name}`) panel.replaceChildren();
    }
  }

  // ---- downloads, card, code -------------------------------------------------------------------------------------
  function receiveFile(file) {
    const status = byId("download-status");
    if (file.problem) { if (status) status.textContent = file.problem; return; }
    const bytes = Uint8Array.from(atob(file.content), (c) => c.charCodeAt(0));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([bytes], { type: file.type }));
    link.download = file.name;
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    if (status) status.textContent = `${file.name} is ready.`;
  }

  function openCard(html) {
    const card = byId("card");
    byId("card-body").innerHTML = html;
    if (!card.open) card.showModal();
    card.scrollTop = 0;
  }

  async function copy(text, status) {
    let done = false;
    try { await navigator.clipboard.writeText(text); done = true; } catch {
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      try { done = document.execCommand("copy"); } catch { done = false; }
      area.remove();
    }
    if (status) {
      status.textContent = done ? "Copied" : "Copying is not allowed here: select the text";
      setTimeout(() => { status.textContent = ""; }, 4000);
    }
  }

  // ---- colours ---------------------------------------------------------------------------------------------------
  function showTheme() {
    const now = document.documentElement.dataset.theme;
    const button = byId("theme");
    button.textContent = `Colours: ${now}`;
    button.setAttribute("aria-label", `Colours: ${now === "auto" ? "as the system" : now}`);
  }

  function nextTheme() {
    const order = ["auto", "light", "dark"];
    const next = order[(order.indexOf(document.documentElement.dataset.theme) + 1) % order.length];
    document.documentElement.dataset.theme = next;
    try { localStorage.setItem("ipt-theme", next); } catch { /* storage may be forbidden */ }
    showTheme();
  }

  // ---- what the reader does --------------------------------------------------------------------------------------
  const clicks = {
    reset: () => { state.out = []; ask(resetQuery(), { withForm: true }); },
    "tick-all": () => { state.out = []; changed(0); },
    keep: () => { state.vs = withoutShown(state.query); changed(0); },
    unkeep: () => { state.vs = ""; changed(0); },
    swap: (button) => ask(button.dataset.query, { withForm: true }),
    theme: nextTheme,
    "copy-link": () => copy(location.href, byId("link-status")),
    "copy-code": () => copy(byId("code").textContent, byId("copy-status")),
    "card-close": () => byId("card").close(),
    reload: () => location.reload(),
    "upload-remove": () => Shiny.setInputValue("forget_upload", Date.now(), { priority: "event" }),
    "choices-toggle": (button) => {
      const open = button.getAttribute("aria-expanded") !== "true";
      button.setAttribute("aria-expanded", String(open));
      button.textContent = open ? "Hide the choices" : "Change the choices";
    },
  };

  function resetQuery() {
    const query = new URLSearchParams();
    const data = new FormData(form).get("data");
    if (data === "upload") query.set("data", data);
    if (state.tab !== "forest") query.set("tab", state.tab);
    return query.toString();
  }

  function withoutShown(query) {
    const kept = new URLSearchParams(query);
    for (const name of ["tab", "vs", "moderator", "axis"]) kept.delete(name);
    return kept.toString() || "default";
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button, a");
    if (!button) return;
    if (button.matches('[role="tab"]')) { chooseTab(button); return; }
    if (button.dataset.card !== undefined) {
      Shiny.setInputValue("card", button.dataset.card, { priority: "event" });
      return;
    }
    if (button.dataset.download !== undefined) {
      byId("download-status").textContent = "Preparing the file…";
      Shiny.setInputValue("download", button.dataset.download, { priority: "event" });
      return;
    }
    const act = clicks[button.id];
    if (act) act(button);
  });

  document.addEventListener("change", (event) => {
    const field = event.target;
    if (field.dataset && field.dataset.tick !== undefined) {
      const trial = field.dataset.tick;
      state.out = state.out.filter((other) => other !== trial);
      if (!field.checked) state.out.push(trial);
      changed(0);
    } else if (field.form === form) {
      if (["condition", "contrast"].includes(field.name)) state.out = [];
      if (field.checkValidity && !field.checkValidity()) { field.reportValidity(); return; }
      changed();
    }
  });

  form.addEventListener("submit", (event) => { event.preventDefault(); changed(0); });

  function chooseTab(tab) {
    state.tab = tab.id.slice("tab-".length);
    showTab(state.tab);
    const panel = byId(`panel-${state.tab}`);
    if (!panel.children.length) panel.innerHTML = '<p class="waiting">One moment…</p>';
    changed(0);
  }

  document.querySelector('[role="tablist"]').addEventListener("keydown", (event) => {
    const tabs = [...document.querySelectorAll('[role="tab"]')];
    const at = tabs.indexOf(document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    const next = tabs[(to + tabs.length) % tabs.length];
    next.focus();
    chooseTab(next);
  });

  byId("card").addEventListener("click", (event) => { if (event.target === byId("card")) byId("card").close(); });

  window.addEventListener("popstate", () => {
    readQuery(location.search.slice(1));
    ask(state.query, { withForm: true });
  });

  // ---- the session -----------------------------------------------------------------------------------------------
  // Shiny would bind every field by itself, and its file input would send files to the disk of the server.
  for (const field of document.querySelectorAll("input, select")) field.setAttribute("data-shiny-no-bind-input", "");
  readQuery(state.query);
  showTheme();
  Shiny.addCustomMessageHandler("ipt", receive);
  const $ = window.jQuery;
  $(document).on("shiny:sessioninitialized", () => {
    body.dataset.connected = "true";
    ask(location.search.slice(1) || state.query);
  });
  $(document).on("shiny:disconnected", () => {
    body.dataset.connected = "false";
    body.dataset.busy = "false";
    byId("lost").hidden = false;
  });
})();
