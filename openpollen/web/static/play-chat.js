// The chat: streams answers, takes pictures, keeps the conversation in this tab.
import { $, DOT, Failure, codeDialog, copy, costLine, dataUri, draft, el, estimator, examples, facts, givenFiles, mark, picker, runner, say, send, showFault, told, whole } from "./play.js";
import { fileMark } from "./play-code.js";
import { markdown } from "./play-markdown.js";

const log = $("log");
/** {role, text, files: [{file, uri}]} */
const talk = [];

const files = givenFiles({ kind: ["image/"], most: 4, changed: () => later?.() });
let later;

// -- the request ---------------------------------------------------------------------------------------------------------

function number(id, least, most, words) {
  const text = $(id).value.trim();
  const value = Number(text);
  mark(id, text && !(value >= least && value <= most) ? `${words}: a number from ${least} to ${most}.` : "");
  return text ? value : undefined;
}

/** The body of the call; `picture` says how a picture stands in it. */
function body(messages, picture) {
  const content = ({ text, files: given = [] }) => (given.length ? [{ type: "text", text }, ...given.map((one) => ({ type: "image_url", image_url: { url: picture(one) } }))] : text);
  const system = $("system").value.trim();
  return {
    model: $("model").value,
    messages: [...(system ? [{ role: "system", content: system }] : []), ...messages.map((one) => ({ role: one.role, content: content(one) }))],
    temperature: number("temperature", 0, 2, "Temperature"),
    max_tokens: whole("max_tokens", 1, 1_000_000, "Longest answer"),
  };
}

/** The conversation with what is being written now. */
const ahead = () => [...talk, { role: "user", text: $("prompt").value.trim() || "Hello!", files: files.list.map((file) => ({ file })) }];

// -- the conversation ----------------------------------------------------------------------------------------------------

function bubble(role, ...children) {
  $("empty")?.remove();
  const made = el("article", { class: `play-message ${role}`, "aria-label": role === "user" ? "You" : "Answer" }, ...children);
  log.append(made);
  log.scrollTop = log.scrollHeight;
  return made;
}

const pictures = (given) => given.map(({ file }) => el("img", { src: URL.createObjectURL(file), alt: file.name }));

/** Shows an answer as it grows: drawn at most once for each frame of the screen. */
function growing(place) {
  let text = "", drawn = false;
  const draw = () => {
    drawn = false;
    const near = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
    place.replaceChildren(markdown(text));
    if (near) log.scrollTop = log.scrollHeight;
  };
  return {
    add(more) { text += more; if (!drawn) { drawn = true; requestAnimationFrame(draw); } },
    end() { draw(); return text; },
  };
}

/** The events of a stream. Throws Failure for one that tells of an error. */
async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (rest + value).split(/\r?\n\r?\n/);
    rest = parts.pop();
    for (const part of parts) {
      const data = part.split("\n").filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trim()).join("\n");
      if (!data || data === "[DONE]") continue;
      const event = JSON.parse(data);
      if (event.error) throw new Failure(event.error.status || 502, event.error);
      yield event;
    }
  }
}

async function answer(signal) {
  const text = $("prompt").value.trim();
  if (!text && !files.list.length) {
    $("prompt").focus();
    throw new Failure(0, { message: "Write something first." });
  }
  const given = await Promise.all(files.list.map(async (file) => ({ file, uri: await dataUri(file) })));
  const turn = { role: "user", text, files: given };
  const request = { ...body([...talk, turn], (one) => one.uri), stream: true, stream_options: { include_usage: true } };
  const asked = bubble("user", el("p", {}, text), ...pictures(given));
  const wait = el("div", { class: "play-wait", "aria-hidden": "true" }, el("i"), el("i"), el("i"));
  const place = el("div", { class: "play-text" }, wait);
  const made = bubble("assistant", place);
  made.setAttribute("aria-busy", "true");
  say("Answering");
  const grown = growing(place), started = performance.now();
  let response, usage, whole = "", stopped = false, thought = null;
  try {
    response = await send({ path: "/v1/chat/completions", json: request }, { signal });
    $("prompt").value = "";
    $("prompt").dispatchEvent(new Event("input", { bubbles: true }));
    files.clear();
    for await (const event of events(response)) {
      if (event.usage) usage = event.usage;
      const delta = event.choices?.[0]?.delta;
      if (delta?.reasoning_content) {
        if (!thought) { thought = el("details", { class: "play-thought" }, el("summary", {}, "Thoughts"), el("p")); place.before(thought); }
        thought.lastChild.append(delta.reasoning_content);
      }
      if (delta?.content) { whole += delta.content; grown.add(delta.content); }
    }
  } catch (fault) {
    stopped = fault.name === "AbortError";
    if (!response) { asked.remove(); made.remove(); throw fault; }
    if (!stopped) showFault(fault);
  }
  made.removeAttribute("aria-busy");
  grown.end();
  talk.push(turn, { role: "assistant", text: whole });
  say(stopped ? "Stopped." : `Answer: ${whole}`);
  const line = { ...told(response, started), cost: usage?.pollen_cost };
  if (usage) line.units = [`${usage.prompt_tokens} tokens read`, `${usage.completion_tokens} written`];
  if (!usage) Object.assign(line, await costLater(response.headers.get("x-request-id")));
  if (stopped) line.notes = [...line.notes, "stopped: what was written is paid"];
  const button = el("button", { type: "button", class: "quiet small", onclick: () => copy(button, whole) }, "Copy");
  made.append(el("div", { class: "row between" }, costLine(line), button));
  log.scrollTop = log.scrollHeight;
}

/** What a broken or stopped answer cost: it stands in the account's usage as soon as the server has noticed. */
async function costLater(id) {
  for (const pause of [200, 600, 1500]) {
    await new Promise((done) => setTimeout(done, pause));
    try {
      const { usage } = await (await send({ method: "GET", path: "/api/account/usage?limit=20" })).json();
      const row = usage.find((one) => one.request_id === id);
      if (row) return { cost: row.cost_usd.toFixed(9) };
    } catch { return {}; }
  }
  return {};
}

// -- the page ------------------------------------------------------------------------------------------------------------

picker((model) => {
  const sees = model.does.includes("vision");
  $("choose").title = sees ? "" : `${model.name} does not see pictures`;
});
draft("prompt", "system");
examples();
later = estimator(() => ({ endpoint: "chat/completions", request: body(ahead(), () => DOT) }));
codeDialog(() => ({ path: "/v1/chat/completions", json: body(ahead(), ({ file }) => fileMark(file)), made: { kind: "chat" } }));
const run = runner(answer);
$("clear").addEventListener("click", () => {
  if (run.busy) $("stop").click();
  talk.length = 0;
  log.replaceChildren();
  $("prompt").focus();
  say("A new conversation");
  later();
});
$("prompt").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.ctrlKey && !event.isComposing && matchMedia("(pointer: fine)").matches) { event.preventDefault(); run.run(); }
});
if (facts()) $("prompt").focus({ preventScroll: true });
