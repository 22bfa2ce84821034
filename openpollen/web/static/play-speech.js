// Speech: a text read aloud.
import { $, draft, examples, fill, picker } from "./play.js";
import { sound } from "./play-sound.js";

const VOICES = ["alloy", "echo", "fable", "onyx", "nova", "shimmer"];

picker((model) => {
  fill($("voice"), model.voices.length ? model.voices : VOICES);
  const { max_input_characters: most } = model.limits;
  $("prompt-hint").textContent = most ? `Up to ${most.toLocaleString()} characters.` : "";
});
draft("prompt");
examples();
sound(
  () => ({
    input: $("prompt").value.trim(),
    model: $("model").value,
    voice: $("voice").value,
    speed: $("speed").value === "1" ? undefined : Number($("speed").value),
    response_format: $("format").value,
  }),
  { making: "Speaking…", made: "The recording is there.", empty: "Write what to say." },
);
