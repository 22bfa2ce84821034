// Small comforts of every page; all of them work without.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Select and copy it";
  }
  setTimeout(() => { button.textContent = label; }, 1600);
});

document.addEventListener("submit", (event) => {
  const question = event.submitter?.dataset.confirm || event.target.dataset.confirm;
  if (question && !window.confirm(question)) event.preventDefault();
});

// Models are all, or those that are ticked: one choice takes the other along.
document.addEventListener("change", ({ target }) => {
  const set = target.closest("[data-ticks]");
  if (set && target.name === "model" && target.checked) set.querySelector("[value=some]").checked = true;
  if (set && target.value === "all") for (const box of set.querySelectorAll("[name=model]")) box.checked = false;
});

// The zone that the account chose, else the browser's.
const timeZone = document.documentElement.dataset.zone || undefined;
// On a narrow screen the list of pages scrolls: the one that is shown is in sight.
document.querySelector(".nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

// What gives something away acts only when its page has been in view for a moment: a click meant for what was here before,
// such as a second one on a window that closed, does nothing.
for (const button of document.querySelectorAll("[data-settle]")) {
  let waiting;
  const settle = () => {
    button.disabled = true;
    clearTimeout(waiting);
    waiting = setTimeout(() => { button.disabled = false; }, 700);
  };
  settle();
  window.addEventListener("focus", settle);
  window.addEventListener("pageshow", settle);
  document.addEventListener("visibilitychange", settle);
}

const shown = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short", timeZone });
function localTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    time.title = time.title || time.textContent;
    time.textContent = shown.format(new Date(time.dateTime));
  }
}
localTimes(document);
document.addEventListener("htmx:afterSwap", (event) => localTimes(event.target));
