// Pictures: drawn from words, or changed by them.
import { $, DOT, Failure, codeDialog, costLine, download, draft, el, estimator, examples, facts, givenFiles, fill, named, pending, picker, runner, say, send, told, whole } from "./play.js";

const SIZES = [["1024x1024", "square"], ["1344x768", "wide"], ["768x1344", "tall"], ["512x512", "small"]];
let later;

const files = givenFiles({ kind: ["image/"], most: 4, changed: change });

function change(list) {
  $("run").firstChild.textContent = list.length ? "Change it " : "Draw ";
  $("prompt").placeholder = list.length ? "Make the sky pink" : "A lighthouse on a cliff at dusk, sea spray, warm light in the window";
  if (list.length) choose("edit", "That model takes no pictures");
  else choose("image", "That model only changes pictures");
  later?.();
}

/** Changes the model when it cannot do what is asked for now, and says so. */
function choose(ability, why) {
  if (!facts() || facts().does.includes(ability)) return;
  const other = [...$("model").options].find((option) => !option.disabled && facts(option).does.includes(ability));
  if (!other) return;
  other.selected = true;
  $("model").dispatchEvent(new Event("change", { bubbles: true }));
  say(`${why}: ${other.value} is chosen now.`);
}

function parameters() {
  const style = $("style").value;
  const prompt = $("prompt").value.trim();
  return {
    prompt: style && prompt ? `${prompt}, ${style}` : prompt,
    model: $("model").value,
    size: $("size").value || undefined,
    seed: whole("seed", -1, 2147483647, "Seed"),
    quality: $("quality").value || undefined,
    transparent: $("transparent").checked || undefined,
  };
}

/** What is sent: JSON, or a form with the pictures to change. */
function request() {
  const given = { ...parameters(), response_format: "b64_json" };
  const made = { kind: "picture", name: named(given.prompt || "picture", "png") };
  if (!files.list.length) return { path: "/v1/images/generations", json: given, made };
  const form = Object.entries(given).filter(([, value]) => value !== undefined).map(([name, value]) => [name, String(value)]);
  return { path: "/v1/images/edits", form: [...form, ...files.list.map((file) => ["image", file])], made };
}

async function draw(signal) {
  const { prompt } = parameters();
  if (!prompt) { $("prompt").focus(); throw new Failure(0, { message: files.list.length ? "Say what to change." : "Say what to draw." }); }
  const card = pending(files.list.length ? "Changing it…" : "Drawing…");
  const started = performance.now();
  say("Drawing");
  try {
    const response = await send(request(), { signal });
    const [picture] = (await response.json()).data;
    const blob = new Blob([bytes(picture.b64_json)], { type: "image/png" });
    const name = named(prompt, "png");
    const edit = el("button", { type: "button", class: "quiet small", onclick: () => {
      files.clear();
      files.add([new File([blob], name, { type: "image/png" })]);
      $("prompt").value = "";
      $("prompt").focus();
    } }, "Edit this");
    const seed = response.headers.get("x-seed");
    const line = told(response, started);
    if (seed) line.notes.push(`seed ${seed}`);
    card.done(
      el("img", { src: URL.createObjectURL(blob), alt: prompt, class: $("transparent").checked ? "clear" : "" }),
      el("p", { class: "play-words" }, prompt),
      picture.note && el("p", { class: "soft small" }, picture.note),
      el("div", { class: "row between" }, costLine(line), el("div", { class: "row" }, edit, download(blob, name))),
    );
    say("The picture is there.");
  } catch (fault) {
    card.away();
    throw fault;
  }
}

function bytes(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

picker((model) => {
  const { sizes, min_size: least = 64, max_size: most = 4096 } = model.limits;
  const offered = sizes ? sizes.map((size) => [size, size.replace("x", " × ")]) : SIZES.filter(([size]) => size.split("x").every((side) => side >= least && side <= most)).map(([size, words]) => [size, `${size.replace("x", " × ")} ${words}`]);
  fill($("size"), [["", "as usual"], ...offered]);
});
draft("prompt");
examples();
later = estimator(() => (parameters().prompt ? { endpoint: files.list.length ? "images/edits" : "images/generations", request: { ...parameters(), ...(files.list.length && { image: files.list.map(() => DOT) }) } } : null));
codeDialog(request);
runner(draw);
