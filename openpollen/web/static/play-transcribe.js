// Transcription of a file, or of what the microphone hears.
import { $, Failure, codeDialog, copy, costLine, download, el, estimator, givenFiles, named, pending, picker, runner, say, send, showFault, told } from "./play.js";

let later, length = null, recorder = null;

const files = givenFiles({ kind: ["audio/", "video/"], most: 1, changed: async ([file]) => {
  length = file ? await seconds(file) : null;
  later?.();
} });

/** How long a recording is, as far as the browser can tell; null when it cannot. */
async function seconds(file) {
  const context = new OfflineAudioContext(1, 1, 16000);
  try {
    return (await context.decodeAudioData(await file.arrayBuffer())).duration;
  } catch {
    return null;
  }
}

function fields() {
  return [["model", $("model").value], ...($("language").value.trim() ? [["language", $("language").value.trim().toLowerCase()]] : [])];
}

function request(format) {
  const file = files.list[0] || new File([], "recording.mp3", { type: "audio/mpeg" });
  return { path: "/v1/audio/transcriptions", form: [...fields(), ["response_format", format], ["file", file]], made: { kind: "text" } };
}

// -- the microphone ------------------------------------------------------------------------------------------------------

async function record() {
  if (recorder) { recorder.stop(); return; }
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  } catch {
    showFault(new Failure(0, { message: "The microphone cannot be used. Allow it for this page in the browser, on https or localhost; or choose a file." }));
    return;
  }
  showFault(null);
  const parts = [], started = Date.now();
  recorder = new MediaRecorder(stream);
  const clock = setInterval(() => { $("recorded").textContent = `${Math.round((Date.now() - started) / 1000)} s`; }, 250);
  recorder.ondataavailable = (event) => parts.push(event.data);
  recorder.onstop = () => {
    clearInterval(clock);
    for (const track of stream.getTracks()) track.stop();
    const type = recorder.mimeType.split(";")[0] || "audio/webm";
    recorder = null;
    $("record").textContent = "Record with the microphone";
    $("record").classList.remove("on");
    $("recorded").textContent = "";
    files.add([new File(parts, `recording.${type.split("/")[1]}`, { type })]);
    say("Recorded.");
  };
  recorder.start();
  $("record").textContent = "Stop recording";
  $("record").classList.add("on");
  say("Recording");
}

// -- the transcript ------------------------------------------------------------------------------------------------------

const clockTime = (at, comma = ".") => new Date(at * 1000).toISOString().slice(11, 23).replace(".", comma);
const subtitles = (segments) => segments.map((one, number) => `${number + 1}\n${clockTime(one.start, ",")} --> ${clockTime(one.end, ",")}\n${one.text.trim()}\n`).join("\n");

async function write(signal) {
  const [file] = files.list;
  if (!file) throw new Failure(0, { message: recorder ? "Stop the recording first." : "Choose or record something first." });
  const card = pending("Listening…"), started = performance.now();
  say("Listening");
  try {
    const response = await send(request("verbose_json"), { signal });
    const heard = await response.json();
    const segments = heard.segments || [];
    const button = el("button", { type: "button", class: "quiet small", onclick: () => copy(button, heard.text) }, "Copy");
    card.done(
      el("audio", { src: URL.createObjectURL(file), controls: true, "aria-label": file.name }),
      el("p", { class: "play-heard" }, heard.text.trim() || "Nothing was heard."),
      segments.length > 1 && el("details", {}, el("summary", {}, "With times"), el("ol", { class: "play-times" }, segments.map((one) => el("li", {}, el("span", { class: "soft" }, clockTime(one.start).slice(3, 10)), ` ${one.text.trim()}`)))),
      el("div", { class: "row between" }, costLine({ ...told(response, started), notes: [heard.language] }),
        el("div", { class: "row" }, button, download(new Blob([heard.text], { type: "text/plain" }), named(file.name, "txt")), segments.length > 0 && subtitleLink(file, segments))),
    );
    say(`Transcript: ${heard.text}`);
  } catch (fault) {
    card.away();
    throw fault;
  }
}

function subtitleLink(file, segments) {
  const made = download(new Blob([subtitles(segments)], { type: "application/x-subrip" }), named(file.name, "srt"));
  made.textContent = "Subtitles";
  return made;
}

picker();
later = estimator(() => (length ? { endpoint: "audio/transcriptions", request: { ...Object.fromEntries(fields()), seconds: length } } : null));
codeDialog(() => request("json"));
runner(write);
$("record").addEventListener("click", record);
