// What the pages of the playground share: calls of the API as the signed-in account, the model picker, prices before and
// costs after, files, drafts, faults in plain words. Nothing that a model says ever becomes HTML.
import { code } from "./play-code.js";

export const $ = (id) => document.getElementById(id);
const root = $("play");
const { csrf, api, tab, account } = root.dataset;

/** An element with properties (`class`, `on...`, attributes) and children; text stays text. */
export function el(tag, props = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children.flat().filter((child) => child != null && child !== false));
  return made;
}

// -- calls ---------------------------------------------------------------------------------------------------------------

export class Failure extends Error {
  constructor(status, error, after) {
    super(error.message || `The server answered ${status}.`);
    Object.assign(this, { status, error, after });
  }
}

/** The options of a fetch for a request `{method, path, json | form}`. */
function options(request, extra = {}) {
  const headers = { "x-csrf-token": csrf, ...extra.headers };
  let body;
  if (request.json) {
    headers["content-type"] = "application/json";
    body = JSON.stringify(request.json);
  } else if (request.form) {
    body = new FormData();
    for (const [name, value] of request.form) value instanceof File ? body.append(name, value, value.name) : body.append(name, value);
  }
  return { method: request.method || "POST", headers, body, credentials: "same-origin", signal: extra.signal };
}

/** Sends a request. Throws Failure for an answer that is none, AbortError when it was stopped. */
export async function send(request, extra) {
  let response;
  try {
    response = await fetch(request.path, options(request, extra));
  } catch (fault) {
    if (fault.name === "AbortError") throw fault;
    throw new Failure(0, { message: "The server cannot be reached. Check the connection and try again." });
  }
  if (response.ok) return response;
  const body = await response.json().catch(() => ({}));
  throw new Failure(response.status, body.error || {}, response.headers.get("retry-after"));
}

// -- money -----------------------------------------------------------------------------------------------------------

/** Decimal pollen as a person reads it: four digits that count, no exponent. */
export function pollen(text) {
  const amount = Number(text);
  if (!(amount > 0)) return "free";
  const places = amount >= 1 ? 2 : Math.min(9, 3 - Math.floor(Math.log10(amount)));
  return `${amount.toFixed(places).replace(/\.?0+$/, "")} pollen`;
}

export async function refreshBalance() {
  try {
    const { accountBalance, balance } = await (await send({ method: "GET", path: "/api/account/balance" })).json();
    const total = Number(accountBalance ? accountBalance.total : balance);
    $("balance").textContent = String(Math.floor(total * 1e4) / 1e4);
  } catch { /* the number stays what it was */ }
}

/** The line under a result: who made it, what it cost, how long it took. */
export function costLine({ model, cost, seconds, units = [], notes = [] }) {
  const price = cost == null ? null : pollen(cost) === "free" ? "free" : `cost ${pollen(cost)}`;
  const parts = [model && `made by ${model}`, price, seconds != null && `${seconds.toFixed(1)} s`, ...units, ...notes];
  return el("p", { class: "play-cost" }, parts.filter(Boolean).join(" · "));
}

const UNITS = [
  ["prompt-text-tokens", "tokens read"], ["completion-text-tokens", "tokens written"],
  ["completion-audio-seconds", "s of sound"], ["prompt-audio-seconds", "s heard"], ["completion-video-seconds", "s of film"],
];

/** What the headers of an answer tell of it. */
export function told(response, started) {
  const get = (name) => response.headers.get(name);
  const notes = [];
  if (get("x-cache") === "HIT") notes.push("from the cache");
  if (get("x-ignored-parameters")) notes.push(`it did not take: ${get("x-ignored-parameters")}`);
  return {
    model: get("x-model-used"),
    cost: get("x-cache") === "HIT" ? "0" : get("x-pollen-cost"),
    seconds: (performance.now() - started) / 1000,
    units: UNITS.filter(([name]) => get(`x-usage-${name}`)).map(([name, words]) => `${get(`x-usage-${name}`)} ${words}`),
    notes,
  };
}

// -- faults ----------------------------------------------------------------------------------------------------------

/** What went wrong, in words, with what to do next. */
function explained(fault) {
  const { status, error = {} } = fault;
  const details = error.details || {};
  const out = [];
  if (status === 402) {
    if (error.reason === "paid_only") out.push("This model takes only pollen that was bought or given, not the tier's.");
    else if (details.required != null) out.push(`This may cost up to ${pollen(details.required)}, and you have ${pollen(details.available) === "free" ? "none left" : pollen(details.available)}.`);
    else out.push(error.message);
    if (Number(details.held) > 0) out.push(`${pollen(details.held)} are held for calls that still run; wait for them.`);
    if (details.nextResetAt) out.push(`Your tier is refilled ${new Date(details.nextResetAt).toLocaleString()}.`);
    out.push("You can ask for less, choose a free model, or ask who runs this server for pollen.");
  } else if (status === 401) out.push("You are signed out, so nothing was sent.");
  else if (status === 429) out.push(fault.message, fault.after ? `Try again in ${fault.after} seconds.` : "Try again in a moment.");
  else if (status === 413) out.push("That is too large to send. Choose a smaller file.");
  else out.push(fault.message);
  return out.join(" ");
}

export function showFault(fault) {
  const place = $("fault");
  place.replaceChildren();
  place.dataset.field = fault?.field || "";
  if (!fault || fault.name === "AbortError") return;
  const notice = el("div", { class: "notice bad" }, el("p", {}, explained(fault)));
  if (fault.status === 401) notice.append(el("a", { class: "button small", href: `/login?next=${encodeURIComponent(location.pathname)}` }, "Sign in"));
  if (fault.status === 402) notice.append(el("a", { class: "button small quiet", href: "/me" }, "See your balance"));
  place.append(notice);
}

export const say = (words) => { $("say").textContent = words; };

// -- models ----------------------------------------------------------------------------------------------------------

/** The chosen model's facts, or those of the option given. */
export const facts = (option = $("model").selectedOptions[0]) => (option ? JSON.parse(option.dataset.facts) : null);

/** What tells of the chosen model: prices, and what really serves it. `extra` hears of each change. */
export function picker(extra = () => {}) {
  const show = () => {
    const model = facts();
    if (!model) return;
    const price = model.free ? "Free" : model.prices.map((pair) => pair.join(" ")).join(" · ");
    const served = { provider: `Served by ${model.server}.`, local: model.server === model.name ? "Runs on this server." : `Answered by ${model.server}, which runs on this server: no provider for ${model.name} is connected.` }[model.by] || model.why || "Not served now.";
    const usual = model.usually.length ? ` The model itself costs ${model.usually.map((pair) => pair.join(" ")).join(" · ")}.` : "";
    $("facts").replaceChildren(
      el("p", { class: "play-price" }, price),
      el("p", {}, `${served}${usual}${model.paid && !model.free ? " Takes bought pollen only." : ""}`),
    );
    extra(model);
  };
  const kept = sessionStorage.getItem(`play-${account}-${tab}-model`);
  const option = [...$("model").options].find((one) => one.value === kept && !one.disabled);
  if (option) option.selected = true;
  $("model").addEventListener("change", () => {
    sessionStorage.setItem(`play-${account}-${tab}-model`, $("model").value);
    show();
  });
  show();
}

/** Fills a select; keeps what was chosen if it is still there. */
export function fill(select, choices) {
  const before = select.value;
  select.replaceChildren(...choices.map((choice) => {
    const [value, words] = Array.isArray(choice) ? choice : [choice, choice];
    return el("option", { value }, words);
  }));
  if (choices.some((choice) => String(Array.isArray(choice) ? choice[0] : choice) === before)) select.value = before;
}

/** Puts what was typed back after a reload; only in this tab, and only for this account. */
export function draft(...ids) {
  const name = `play-${account}-${tab}-draft`;
  let kept = {};
  try { kept = JSON.parse(sessionStorage.getItem(name)) || {}; } catch { /* nothing was kept */ }
  for (const id of ids) {
    if (kept[id] && !$(id).value) $(id).value = kept[id];
    $(id).addEventListener("input", () => {
      kept[id] = $(id).value;
      sessionStorage.setItem(name, JSON.stringify(kept));
    });
  }
}

// -- the estimate ----------------------------------------------------------------------------------------------------

/** Asks what the request would cost while it is put together. `request()` gives `{endpoint, request}` or null. */
export function estimator(request) {
  let timer, asked = "", running;
  const ask = async () => {
    let wanted = null;
    try { wanted = request(); } catch { /* a field is wrong, and says so */ }
    const text = JSON.stringify(wanted);
    if (text === asked) return;
    asked = text;
    running?.abort();
    if (!wanted) { $("estimate").textContent = ""; return; }
    running = new AbortController();
    try {
      const { max, expected } = await (await send({ path: "/v1/estimate", json: wanted }, { signal: running.signal })).json();
      const words = Number(max) === 0 ? "free" : max === expected ? `costs ${pollen(max)}` : `about ${pollen(expected)}, at most ${pollen(max)}`;
      $("estimate").textContent = words;
      $("estimate").title = "";
    } catch (fault) {
      if (fault.name === "AbortError") return;
      $("estimate").textContent = fault.status === 400 ? fault.message : "";
    }
  };
  const later = () => { clearTimeout(timer); timer = setTimeout(ask, 300); };
  document.querySelector(".play-grid").addEventListener("input", later);
  document.querySelector(".play-grid").addEventListener("change", later);
  later();
  return later;
}

// -- one run at a time -----------------------------------------------------------------------------------------------

/** Runs `work(signal)` on submit and on Ctrl+Enter; Stop aborts it. */
export function runner(work) {
  let running = null;
  const run = async () => {
    if (running) return;
    running = new AbortController();
    $("run").disabled = true;
    $("stop").hidden = false;
    showFault(null);
    try {
      await work(running.signal);
    } catch (fault) {
      if (fault.name === "AbortError") say("Stopped.");
      else if (fault instanceof Failure) showFault(fault);
      else { showFault(new Failure(0, { message: "The page could not show the answer. Load it again and repeat." })); console.error(fault); }
    } finally {
      running = null;
      $("run").disabled = false;
      $("stop").hidden = true;
      refreshBalance();
    }
  };
  $("ask").addEventListener("submit", (event) => { event.preventDefault(); run(); });
  $("stop").addEventListener("click", () => running?.abort());
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !$("code").open) { event.preventDefault(); run(); }
  });
  return { run, get busy() { return running !== null; } };
}

// -- files -----------------------------------------------------------------------------------------------------------

/** Takes files by button, drop and paste. `files.list` are those given; `changed` hears of each change. */
export function givenFiles({ kind, most, changed = () => {}, zone = $("drop") || $("ask") }) {
  const files = { list: [] };
  const show = () => {
    $("given").replaceChildren(...files.list.map((file) => el("li", {},
      file.type.startsWith("image/") ? el("img", { src: URL.createObjectURL(file), alt: file.name }) : el("span", {}, file.name),
      el("button", { type: "button", class: "quiet small", "aria-label": `Take ${file.name} away`, onclick: () => { files.list = files.list.filter((one) => one !== file); show(); } }, "×"),
    )));
    changed(files.list);
  };
  files.add = (given) => {
    const fitting = [...given].filter((file) => kind.some((start) => file.type.startsWith(start)));
    if (given.length && !fitting.length) {
      showFault(new Failure(0, { message: `That is not ${kind[0].startsWith("image") ? "a picture" : "a recording"} that this page can send.` }));
      return;
    }
    showFault(null);
    files.list = [...files.list, ...fitting].slice(-most);
    show();
  };
  files.clear = () => { files.list = []; show(); };
  $("choose").addEventListener("click", () => $("files").click());
  $("files").addEventListener("change", () => { files.add($("files").files); $("files").value = ""; });
  document.addEventListener("paste", (event) => { if (event.clipboardData?.files.length) { event.preventDefault(); files.add(event.clipboardData.files); } });
  for (const name of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(name, (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      zone.classList.toggle("over", name === "dragover");
      if (name === "drop") files.add(event.dataTransfer.files);
    });
  }
  return files;
}

export const dataUri = (file) => new Promise((done, failed) => {
  const reader = new FileReader();
  reader.onload = () => done(reader.result);
  reader.onerror = () => failed(new Failure(0, { message: `${file.name} cannot be read.` }));
  reader.readAsDataURL(file);
});

/** Stands for a picture in an estimate, which depends on how many there are and not on what they show. */
export const DOT = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII=";

// -- results ---------------------------------------------------------------------------------------------------------

/** A card at the top of the results that waits; `done(...children)` fills it, `away()` takes it back. */
export function pending(words) {
  $("empty")?.remove();
  const cells = el("div", { class: "play-wait", "aria-hidden": "true" }, el("i"), el("i"), el("i"));
  const text = el("p", { class: "soft" }, words);
  const card = el("article", { class: "card play-result", "aria-busy": "true" }, cells, text);
  $("results").prepend(card);
  if (card.getBoundingClientRect().top > innerHeight * .8) card.scrollIntoView({ block: "nearest" });
  return {
    card,
    text,
    done(...children) { card.removeAttribute("aria-busy"); card.replaceChildren(...children.filter(Boolean)); },
    away() { card.remove(); },
  };
}

export function download(blob, name) {
  return el("a", { class: "button quiet small", href: URL.createObjectURL(blob), download: name }, "Download");
}

/** A file's name out of words. */
export const named = (words, suffix) => `${words.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-+|-+$/g, "").slice(0, 40) || "made"}.${suffix}`;

// -- code, examples --------------------------------------------------------------------------------------------------

/** "Copy as code": `request()` gives the request as it would be sent now, `{path, json | form, made}`. */
export function codeDialog(request) {
  const dialog = $("code");
  let language = sessionStorage.getItem("play-language") || "curl";
  const show = () => {
    for (const button of dialog.querySelectorAll("[data-language]")) button.setAttribute("aria-pressed", String(button.dataset.language === language));
    const { text, note } = code(language, request(), api);
    $("code-text").textContent = text;
    $("code-note").textContent = note;
    $("code-copy").textContent = "Copy";
  };
  $("show-code").addEventListener("click", () => {
    try { show(); } catch (fault) { showFault(fault); return; }
    dialog.showModal();
  });
  $("code-close").addEventListener("click", () => dialog.close());
  $("code-copy").addEventListener("click", () => copy($("code-copy"), $("code-text").textContent));
  for (const button of dialog.querySelectorAll("[data-language]")) {
    button.addEventListener("click", () => { language = button.dataset.language; sessionStorage.setItem("play-language", language); show(); });
  }
}

export async function copy(button, text) {
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Select and copy it";
  }
  setTimeout(() => { button.textContent = label; }, 1600);
}

export function examples() {
  for (const button of document.querySelectorAll("[data-example]")) {
    button.addEventListener("click", () => {
      $("prompt").value = button.dataset.example;
      $("prompt").dispatchEvent(new Event("input", { bubbles: true }));
      $("prompt").focus();
    });
  }
}

/** The whole number in a field, or undefined when it is empty. Throws Failure for anything else, and marks the field. */
export function whole(id, least, most, words) {
  const text = $(id).value.trim();
  const fault = text !== "" && (!/^-?\d+$/.test(text) || Number(text) < least || Number(text) > most);
  mark(id, fault ? `${words}: a whole number from ${least} to ${most}.` : "");
  return text === "" ? undefined : Number(text);
}

/** Takes away what was wrong with a field, beside it and above the results. */
function unmark(id) {
  const field = $(id);
  $(`${id}-fault`)?.remove();
  field.removeAttribute("aria-invalid");
  const others = (field.getAttribute("aria-describedby") || "").split(" ").filter((one) => one && one !== `${id}-fault`);
  others.length ? field.setAttribute("aria-describedby", others.join(" ")) : field.removeAttribute("aria-describedby");
  if ($("fault").dataset.field === id) showFault(null);
}

/** Shows what is wrong beside a field until it is changed, and throws Failure; takes it away where nothing is. */
export function mark(id, fault) {
  const field = $(id);
  if (!fault) { unmark(id); return; }
  if ($(`${id}-fault`)) $(`${id}-fault`).textContent = fault;
  else {
    field.setAttribute("aria-invalid", "true");
    field.after(el("p", { class: "fault", id: `${id}-fault` }, fault));
    field.setAttribute("aria-describedby", [field.getAttribute("aria-describedby"), `${id}-fault`].filter(Boolean).join(" "));
    field.addEventListener("input", () => unmark(id), { once: true });
  }
  throw Object.assign(new Failure(0, { message: fault }), { field: id });
}
