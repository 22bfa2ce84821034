// connect.js of OpenPollen: the users of a page pay for their own AI. OAuth code flow with PKCE, no dependency.
// The key is in memory, or in session storage when asked (remember); never in local storage.
(() => {
const given = document.currentScript.dataset, host = new URL(document.currentScript.src).origin;
const own = location.origin, store = sessionStorage, name = "openpollen", TRIP = "openpollen:trip";
let settings, grant = null, renewing = null, cancelTrip = null;

class PollenError extends Error {
  constructor(code, message, status = 0) { super(message); Object.assign(this, { code, status }); }
}

function settle(options) {
  const page = { redirectUri: own + location.pathname, ...given };
  settings = { ...page, popup: given.popup !== "false", remember: given.remember === "true", ...settings, ...options };
  if (!settings.appKey) throw new PollenError("app_key", "Give data-app-key, or connect({appKey}).");
}

const place = () => `${name}:${settings.appKey}`;

function hold(made) {
  grant = made;
  if (made && settings.remember) store.setItem(place(), JSON.stringify(made));
  else store.removeItem(place());
  tell();
}

function tell(error) {
  dispatchEvent(new CustomEvent(name, { detail: { connected: !!grant, error } }));
  for (const button of document.querySelectorAll("[data-openpollen-button]")) {
    button.textContent = grant ? button.dataset.on || "Disconnect" : button.dataset.off || "Connect with OpenPollen";
    if (!("plain" in button.dataset)) button.style.cssText = "font:600 1rem/1.2 system-ui;color:#fffaf0;background:#874a00;border:0;border-radius:99px;padding:.7em 1.3em";
  }
}

const base64 = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const random = () => base64(crypto.getRandomValues(new Uint8Array(32)));

async function begin() {
  const verifier = random(), state = `op.${random()}`, { appKey, redirectUri, scope, models, budget, expiry } = settings;
  const challenge = base64(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier)));
  const words = { response_type: "code", client_id: appKey, redirect_uri: redirectUri, state, code_challenge: challenge, code_challenge_method: "S256", scope: `${scope || ""}`.replaceAll(",", " "), models, budget, expiry };
  const query = new URLSearchParams(Object.entries(words).filter(([, value]) => value != null));
  return { verifier, state, redirectUri, url: `${host}/authorize?${query}` };
}

// Call it from a click: else no window opens.
const connect = (options) => ask(options).catch((fault) => { tell(fault); throw fault; });
async function ask(options) {
  settle(options);
  if (grant) return api;
  cancelTrip?.("superseded", "Another window asks now.");
  const child = settings.popup ? open("", name, "popup,width=480,height=760") : null;
  const trip = await begin();
  if (child) return popup(child, trip);
  store.setItem(TRIP, JSON.stringify({ ...trip, settings }));
  location.assign(trip.url);
  return new Promise(() => {});
}

function popup(child, trip) {
  return new Promise((done, failed) => {
    const channel = new BroadcastChannel(trip.state);
    let gone = 0;
    const end = () => { clearInterval(watch); removeEventListener("message", heard); channel.close(); cancelTrip = null; };
    const take = (answer) => {
      if (answer?.state !== trip.state) return;
      end();
      child.close();
      redeem(answer, trip).then(() => done(api), failed);
    };
    const heard = (event) => { if (event.origin === own && event.source === child) take(event.data); };
    cancelTrip = (code, message) => { end(); failed(new PollenError(code, message)); };
    // A window that a page on the way cut off looks closed, but has the focus.
    const watch = setInterval(() => {
      gone = child.closed && document.hasFocus() ? gone + 1 : 0;
      if (gone > 3) cancelTrip("closed", "The window was closed before you decided.");
    }, 300);
    addEventListener("message", heard);
    channel.onmessage = (event) => take(event.data);
    child.location.replace(trip.url);
  });
}

// Takes an answer out of the address: for the opener, or after a redirect.
async function arrive() {
  const query = new URLSearchParams(location.search), { state, code, error, iss } = Object.fromEntries(query);
  if (!state?.startsWith("op.") || !(code || error)) return;
  for (const word of ["state", "code", "error", "iss"]) query.delete(word);
  history.replaceState(history.state, "", location.pathname + (String(query) && `?${query}`));
  const answer = { state, code, error, iss }, trip = JSON.parse(store.getItem(TRIP));
  if (trip?.state === state) {
    store.removeItem(TRIP);
    settings = trip.settings;
    await redeem(answer, trip);
  } else {
    opener?.postMessage(answer, own);
    new BroadcastChannel(state).postMessage(answer);
    setTimeout(close, 50);
  }
}

async function redeem({ code, error, iss }, { verifier, redirectUri }) {
  if (error) throw new PollenError(error, error === "access_denied" ? "You said no; nothing was connected." : `Consent failed: ${error}.`);
  if (iss !== host) throw new PollenError("issuer", `The answer is of ${iss}, not of ${host}; nothing was connected.`);
  await token({ grant_type: "authorization_code", code, redirect_uri: redirectUri, code_verifier: verifier });
}

const post = (path, words) => fetch(host + path, { method: "POST", body: new URLSearchParams(words), credentials: "omit", keepalive: true });

async function token(words) {
  const response = await post("/api/oauth/token", { client_id: settings.appKey, ...words });
  const made = await response.json().catch(() => ({}));
  if (!response.ok) throw new PollenError(made.error || "token", made.error_description || "No key came.", response.status);
  hold({ key: made.access_token, refresh: made.refresh_token, scope: made.scope });
}

// After a 401 the key is renewed if it can be and the call repeated, once.
async function call(path, init) {
  if (!grant) throw new PollenError("not_connected", "Connect first: nobody pays yet.");
  const url = new URL(path, host), used = grant;
  if (url.origin !== host) throw new PollenError("host", `The key is for ${host} only.`);
  const request = new Request(url, { ...init, credentials: "omit" });
  if (request.method === "POST" && !request.headers.has("idempotency-key")) request.headers.set("idempotency-key", random());
  const send = () => {
    const copy = request.clone();
    copy.headers.set("authorization", `Bearer ${grant.key}`);
    return fetch(copy);
  };
  const first = await send();
  if (first.status !== 401) return first;
  if (grant === used) await (renewing ||= renew().finally(() => { renewing = null; }));
  if (!grant) return first;
  const again = await send();
  if (again.status === 401) hold(null);
  return again;
}

async function renew() {
  const refresh = grant.refresh;
  try {
    if (refresh) return await token({ grant_type: "refresh_token", refresh_token: refresh });
  } catch (fault) {
    if (!fault.status) throw fault;
  }
  hold(null);
  await settings.renew?.();
}

async function disconnect() {
  const old = grant;
  hold(null);
  if (old) await post("/api/oauth/revoke", { token: old.key });
}

addEventListener("click", ({ target }) => {
  if (target.closest?.("[data-openpollen-button]")) (grant ? disconnect().catch(tell) : connect().catch(() => 0));
});

const api = {
  connect, disconnect, fetch: call, host, PollenError,
  get connected() { return !!grant; },
  get scope() { return grant?.scope; },
};
window.OpenPollen = api;
const ready = new Promise((done) => { document.readyState === "loading" ? addEventListener("DOMContentLoaded", done) : done(); });
const arrived = arrive();
if (given.appKey && !settings) settle();
const kept = Object.keys(store).find((key) => key.startsWith(`${name}:${given.appKey || "pk_"}`));
if (kept && !grant) {
  settle({ appKey: kept.slice(name.length + 1), remember: true });
  grant = JSON.parse(store.getItem(kept));
}
ready.then(() => tell());
arrived.catch((fault) => ready.then(() => tell(fault)));
})();
