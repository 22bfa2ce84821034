// A whole app: connect.js brings the user's key, OpenPollen.fetch spends with it.
const $ = (id) => document.getElementById(id);

async function showPayer() {
  if (!OpenPollen.connected) {
    $("payer").textContent = "Nobody is connected yet.";
    return;
  }
  const [who, left] = await Promise.all(
    ["/api/oauth/userinfo", "/api/account/balance"].map(async (path) => (await OpenPollen.fetch(path)).json()),
  );
  const rest = left.balance == null ? "" : ` This page may still spend ${left.balance} pollen.`;  // told where there is a limit
  if (OpenPollen.connected) $("payer").textContent = `${who.preferred_username} pays.${rest}`;
}

addEventListener("openpollen", ({ detail }) => {
  $("fault").textContent = detail.error ? detail.error.message : "";
  showPayer();
});

$("ask").addEventListener("submit", async (event) => {
  event.preventDefault();
  $("fault").textContent = "";
  $("haiku").textContent = "…";
  try {
    const response = await OpenPollen.fetch("/v1/chat/completions", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: $("ask").dataset.model, messages: [{ role: "user", content: `Write a haiku about ${$("about").value}. Only its three lines.` }] }),
    });
    const answer = await response.json();
    if (response.status === 401) throw new Error("The connection has ended. Connect again to go on.");
    if (!response.ok) throw new Error(answer.error.message);
    $("haiku").textContent = answer.choices[0].message.content;
    showPayer();
  } catch (fault) {
    $("haiku").textContent = "";
    $("fault").textContent = fault.message;
  }
});
