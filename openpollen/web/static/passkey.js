// Passkeys: asks the server for a challenge, the browser for its answer, and brings that back.
const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

async function ask(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const told = await answer.json();
  if (told.reason === "again") location.assign("/login?again=1&next=/me/account");
  if (!answer.ok) throw new Error(told.error || "The server did not answer as it should. Try again.");
  return told;
}

async function signIn(form) {
  const options = await ask("/login/passkey/options", {});
  options.challenge = bytes(options.challenge);
  const made = await navigator.credentials.get({ publicKey: options });
  const { authenticatorData, clientDataJSON, signature, userHandle } = made.response;
  return ask("/login/passkey", {
    next: form.dataset.next,
    credential: {
      id: made.id,
      rawId: text(made.rawId),
      type: made.type,
      response: {
        authenticatorData: text(authenticatorData),
        clientDataJSON: text(clientDataJSON),
        signature: text(signature),
        userHandle: userHandle ? text(userHandle) : null,
      },
    },
  });
}

async function add(form) {
  const csrf = form.elements.csrf.value;
  const options = await ask("/me/account/passkeys/options", { csrf });
  options.challenge = bytes(options.challenge);
  options.user.id = bytes(options.user.id);
  options.excludeCredentials = options.excludeCredentials.map((known) => ({ ...known, id: bytes(known.id) }));
  const made = await navigator.credentials.create({ publicKey: options });
  return ask("/me/account/passkeys", {
    csrf,
    name: form.elements.passkey_name.value,
    credential: {
      id: made.id,
      rawId: text(made.rawId),
      type: made.type,
      response: { attestationObject: text(made.response.attestationObject), clientDataJSON: text(made.response.clientDataJSON) },
    },
  });
}

const words = {
  NotAllowedError: "No passkey was used. Try again, or choose another way.",
  InvalidStateError: "This device has a passkey for your account already.",
  SecurityError: "This address cannot use passkeys. Open the site at its https address, or at localhost.",
};

for (const form of document.querySelectorAll("[data-passkey]")) {
  const told = form.querySelector("[role=status]");
  if (!window.PublicKeyCredential) {
    told.textContent = "This browser has no passkeys here.";
    continue;
  }
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    told.textContent = "Your browser asks you now.";
    try {
      const { next } = await (form.dataset.passkey === "add" ? add(form) : signIn(form));
      const here = next.split("#")[0] === location.pathname;
      location.assign(next);
      if (here) location.reload();
    } catch (fault) {
      told.textContent = words[fault.name] || fault.message;
      button.disabled = false;
    }
  });
}
