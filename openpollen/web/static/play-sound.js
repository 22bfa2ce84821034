// What speech and music share: words go in, a recording comes out.
import { $, Failure, codeDialog, costLine, download, el, estimator, named, pending, runner, say, send, told } from "./play.js";

/** `parameters()` gives the body of the call; `words` are what the page says meanwhile, after, and for an empty prompt. */
export function sound(parameters, { making, made, empty }) {
  const name = (body) => named(body.input || "sound", body.response_format || "mp3");
  estimator(() => (parameters().input ? { endpoint: "audio/speech", request: parameters() } : null));
  codeDialog(() => ({ path: "/v1/audio/speech", json: parameters(), made: { kind: "file", name: name(parameters()) } }));
  runner(async (signal) => {
    const body = parameters();
    if (!body.input) { $("prompt").focus(); throw new Failure(0, { message: empty }); }
    const card = pending(making);
    const started = performance.now();
    say(making);
    try {
      const response = await send({ path: "/v1/audio/speech", json: body }, { signal });
      const blob = await response.blob();
      card.done(
        el("audio", { src: URL.createObjectURL(blob), controls: true, "aria-label": body.input.slice(0, 80) }),
        el("p", { class: "play-words" }, body.input.length > 240 ? `${body.input.slice(0, 240)}…` : body.input),
        el("div", { class: "row between" }, costLine({ ...told(response, started), notes: [body.voice && `voice ${body.voice}`] }), download(blob, name(body))),
      );
      say(made);
      card.card.querySelector("audio").play().catch(() => { /* the browser wants a click first */ });
    } catch (fault) {
      card.away();
      throw fault;
    }
  });
}
