// Music from words.
import { $, draft, examples, facts, picker, whole } from "./play.js";
import { sound } from "./play-sound.js";

const range = () => {
  const { min_duration: least = 3, max_duration: most = 300 } = facts()?.limits || {};
  return [Math.ceil(least), Math.floor(most)];
};

picker(() => { $("duration-hint").textContent = `From ${range().join(" to ")}.`; });
draft("prompt");
examples();
sound(
  () => ({
    input: $("prompt").value.trim(),
    model: $("model").value,
    duration: whole("duration", ...range(), "Seconds"),
    seed: whole("seed", -1, 2147483647, "Seed"),
  }),
  { making: "Composing…", made: "The piece is there.", empty: "Say what to play." },
);
