// Videos are jobs: the page starts one, looks how far it is, and finds it again after a reload.
import { $, DOT, Failure, codeDialog, costLine, dataUri, download, draft, el, estimator, examples, fill, givenFiles, named, pending, picker, refreshBalance, runner, say, send, whole } from "./play.js";
import { fileMark } from "./play-code.js";

const OPEN = `play-${$("play").dataset.account}-video-open`;
const SECONDS = [2, 4, 5, 6, 8, 10];
let later;
const files = givenFiles({ kind: ["image/"], most: 1, changed: () => later?.() });

function parameters(picture) {
  return {
    prompt: $("prompt").value.trim(),
    model: $("model").value,
    duration: $("duration").value ? Number($("duration").value) : undefined,
    aspectRatio: $("aspect").value || undefined,
    resolution: $("resolution").value || undefined,
    seed: whole("seed", -1, 2147483647, "Seed"),
    audio: (!$("sound").hidden && $("audio").checked) || undefined,
    image: picture,
  };
}

async function film(signal) {
  const [frame] = files.list;
  const wanted = parameters(frame ? await dataUri(frame) : undefined);
  if (!wanted.prompt) { $("prompt").focus(); throw new Failure(0, { message: "Say what to film." }); }
  const job = await (await send({ path: "/v1/videos", json: wanted }, { signal })).json();
  sessionStorage.setItem(OPEN, JSON.stringify({ id: job.id, prompt: wanted.prompt, started: Date.now() }));
  await follow({ id: job.id, prompt: wanted.prompt, started: Date.now() }, signal);
}

const pause = (ms, signal) => new Promise((done, failed) => {
  const timer = setTimeout(done, ms);
  signal.addEventListener("abort", () => { clearTimeout(timer); failed(new DOMException("stopped", "AbortError")); });
});

/** Looks after a job until it ends. Stopping ends the job too: what it has not made is not paid. */
async function follow({ id, prompt, started }, signal) {
  const path = `/v1/videos/${encodeURIComponent(id)}`;
  const card = pending("Filming…");
  const bar = el("progress", { max: "100", value: "0", "aria-label": "Progress of the video" });
  card.card.append(bar);
  say("Filming");
  try {
    for (let wait = 400; ; wait = Math.min(2000, wait * 1.4)) {
      const job = await (await send({ method: "GET", path }, { signal })).json();
      bar.value = job.progress || 0;
      card.text.textContent = job.status === "queued" ? "Waiting for its turn…" : `Filming… ${job.progress || 0} %`;
      if (job.status === "failed") throw new Failure(502, { message: `${job.error?.message || "The video could not be made."} You were not charged for it.` });
      if (job.status === "completed") {
        const blob = await (await send({ method: "GET", path: `${path}/content` }, { signal })).blob();
        const seconds = ((job.completed_at ? job.completed_at * 1000 : Date.now()) - started) / 1000;
        card.done(
          el("video", { src: URL.createObjectURL(blob), controls: true, loop: true, playsinline: true, "aria-label": prompt }),
          el("p", { class: "play-words" }, prompt),
          el("div", { class: "row between" }, costLine({ model: job.served_by, cost: job.usage?.pollen_cost, seconds: Math.max(0, seconds) }), download(blob, named(prompt, "mp4"))),
        );
        say("The video is there.");
        sessionStorage.removeItem(OPEN);
        return;
      }
      await pause(wait, signal);
    }
  } catch (fault) {
    card.away();
    sessionStorage.removeItem(OPEN);
    if (fault.name === "AbortError") send({ method: "DELETE", path }).catch(() => {}).finally(refreshBalance);
    throw fault;
  }
}

picker(({ limits }) => {
  const { durations, min_duration: least = 1, max_duration: most = 10, default_duration: usual } = limits;
  const seconds = durations || SECONDS.filter((one) => one >= least && one <= most);
  fill($("duration"), [["", usual ? `${usual} (usual)` : "as usual"], ...seconds.map((one) => [String(one), String(one)])]);
  fill($("aspect"), [["", "as usual"], ...(limits.aspect_ratios || ["16:9", "9:16"])]);
  fill($("resolution"), [["", "as usual"], ...(limits.resolutions || [])]);
  $("resolution").disabled = !limits.resolutions;
  $("sound").hidden = limits.audio === "always" || limits.audio === "never";
});
draft("prompt");
examples();
later = estimator(() => (parameters().prompt ? { endpoint: "videos", request: parameters(files.list.length ? DOT : undefined) } : null));
codeDialog(() => ({ path: "/v1/videos", json: parameters(files.list[0] ? fileMark(files.list[0]) : undefined), made: { kind: "film", name: named($("prompt").value || "film", "mp4") } }));
let before = null;
try { before = JSON.parse(sessionStorage.getItem(OPEN)); } catch { /* nothing was open */ }
const runs = runner((signal) => {
  const open = before;
  before = null;
  return open ? follow(open, signal) : film(signal);
});
if (before) runs.run();
