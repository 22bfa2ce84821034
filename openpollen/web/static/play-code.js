// A request of the playground as code that runs when it is pasted: curl, Python (with requests), JavaScript (Node 18 on).
// Files are read from the folder that the code runs in; the key comes from the environment as OPENPOLLEN_KEY.

const FILE = "\u0000file:";
const KEY = "OPENPOLLEN_KEY";

/** Stands in a request's JSON for a file as a data URI. */
export const fileMark = (file) => `${FILE}${file.type || "application/octet-stream"}:${file.name}`;

const marked = (text) => (text.startsWith(FILE) ? text.slice(FILE.length).split(/:(.*)/s) : null);
const files = (value) => (typeof value === "string" ? (marked(value) ? [marked(value)[1]] : []) : value && typeof value === "object" ? Object.values(value).flatMap(files) : []);

/** `request`: {path, json | form, made: {kind: "chat" | "picture" | "file" | "film" | "text", name}}. */
export function code(language, asked, base) {
  const request = { ...asked, json: asked.json && JSON.parse(JSON.stringify(asked.json)) }; // without what is undefined
  const given = request.form ? request.form.filter(([, value]) => value instanceof File).map(([, file]) => file.name) : files(request.json);
  const needs = [`Needs your key: export ${KEY}=sk_...`];
  if (language === "python") needs.push("pip install requests.");
  if (given.length) needs.push(`Run it beside ${[...new Set(given)].join(", ")}.`);
  return { text: { curl, python, javascript }[language](request, base), note: needs.join(" ") };
}

// -- curl ----------------------------------------------------------------------------------------------------------------

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function curlBody(request) {
  if (request.form) return request.form.map(([name, value]) => (value instanceof File ? `  -F ${quoted(`${name}=@"${value.name.replace(/["\\]/g, "\\$&")}"`)}` : `  --form-string ${quoted(`${name}=${value}`)}`)).join(" \\\n");
  const json = JSON.stringify(request.json, null, 2);
  const head = '  -H "Content-Type: application/json" \\\n';
  if (!files(request.json).length) return `${head}  -d ${quoted(json)}`;
  const text = json.replace(/[\\$`]/g, "\\$&").replace(/\\+u0000file:([^:"]*):([^"]*)"/g, (_, type, name) => `data:${type};base64,$(base64 < ${quoted(name)} | tr -d '\\n')"`);
  return `${head}  --data-binary @- <<JSON\n${text}\nJSON`;
}

function curl(request, base) {
  const { kind, name } = request.made;
  const head = (url) => `curl -sS --fail-with-body ${url} \\\n  -H "Authorization: Bearer $${KEY}"`;
  const call = `${head(base + request.path)}${kind === "file" ? ` \\\n  -o ${quoted(name)}` : ""} \\\n${curlBody(request)}`;
  const pick = (script) => `python3 -c ${quoted(script)}`;
  if (kind === "picture") return `${call} > answer.json\n${pick(`import base64, json; open(${JSON.stringify(name)}, "wb").write(base64.b64decode(json.load(open("answer.json"))["data"][0]["b64_json"]))`)}`;
  if (kind === "film") {
    const one = `"${base}${request.path}/$id"`;
    return `${call} > job.json\nid=$(${pick('import json; print(json.load(open("job.json"))["id"])')})\nuntil curl -sS ${one} -H "Authorization: Bearer $${KEY}" | grep -E '"status": ?"(completed|failed)"'; do sleep 2; done\n${head(`"${base}${request.path}/$id/content"`)} \\\n  -o ${quoted(name)}`;
  }
  return call;
}

// -- Python and JavaScript -----------------------------------------------------------------------------------------------

/** A value as source text: JSON is both languages' own, but for three words in Python and for files. */
function source(value, words, file, depth = 1) {
  const pad = "    ".repeat(depth), end = "    ".repeat(depth - 1);
  if (value === null || typeof value === "boolean") return words[String(value)];
  if (typeof value === "string") return marked(value) ? file(...marked(value)) : JSON.stringify(value);
  if (typeof value !== "object") return String(value);
  const list = Array.isArray(value);
  const items = list ? value.map((item) => source(item, words, file, depth + 1)) : Object.entries(value).map(([name, item]) => `${JSON.stringify(name)}: ${source(item, words, file, depth + 1)}`);
  const whole = items.join(", ");
  const [open, close] = list ? "[]" : "{}";
  return whole.length < 70 && !whole.includes("\n") ? open + whole + close : `${open}\n${items.map((item) => `${pad}${item},\n`).join("")}${end}${close}`;
}

const PYTHON = { null: "None", true: "True", false: "False" };
const SCRIPT = { null: "null", true: "true", false: "false" };

function python(request, base) {
  const { kind, name } = request.made;
  const inside = request.json && files(request.json).length > 0;
  const imports = [...(kind === "picture" || inside ? ["base64"] : []), "os", ...(kind === "film" ? ["time"] : []), "", "import requests"];
  const out = imports.map((one) => (one === "" || one.startsWith("import") ? one : `import ${one}`));
  out.push("", `headers = {"Authorization": f"Bearer {os.environ['${KEY}']}"}`, "response = requests.post(", `    ${JSON.stringify(base + request.path)},`, "    headers=headers,");
  if (request.form) {
    const fields = request.form.filter(([, value]) => !(value instanceof File)).map(([field, value]) => `        (${JSON.stringify(field)}, ${JSON.stringify(value)}),`);
    const sent = request.form.filter(([, value]) => value instanceof File).map(([field, file]) => `        (${JSON.stringify(field)}, open(${JSON.stringify(file.name)}, "rb")),`);
    out.push("    data=[", ...fields, "    ],", "    files=[", ...sent, "    ],");
  } else {
    const file = (type, path) => `"data:${type};base64," + base64.b64encode(open(${JSON.stringify(path)}, "rb").read()).decode()`;
    out.push(`    json=${source(request.json, PYTHON, file, 2)},`);
  }
  out.push(")", "if not response.ok:", "    raise SystemExit(response.text)");
  const write = (bytes) => [`with open(${JSON.stringify(name)}, "wb") as file:`, `    file.write(${bytes})`];
  if (kind === "chat") out.push('print(response.json()["choices"][0]["message"]["content"])');
  if (kind === "text") out.push('print(response.json()["text"])');
  if (kind === "picture") out.push(...write('base64.b64decode(response.json()["data"][0]["b64_json"])'));
  if (kind === "file") out.push(...write("response.content"));
  if (kind === "film") {
    out.push("job = response.json()", `url = ${JSON.stringify(`${base}${request.path}/`)} + job["id"]`, 'while job["status"] not in ("completed", "failed"):', "    time.sleep(2)", "    job = requests.get(url, headers=headers).json()", 'if job["status"] == "failed":', '    raise SystemExit(job["error"]["message"])', ...write('requests.get(url + "/content", headers=headers).content'));
  }
  return out.join("\n");
}

function javascript(request, base) {
  const { kind, name } = request.made;
  const reads = request.form ? request.form.some(([, value]) => value instanceof File) : files(request.json).length > 0;
  const writes = ["picture", "file", "film"].includes(kind);
  const names = [...(reads ? ["readFile"] : []), ...(writes ? ["writeFile"] : [])];
  const out = names.length ? [`import { ${names.join(", ")} } from "node:fs/promises";`, ""] : [];
  out.push(`const headers = { Authorization: \`Bearer \${process.env.${KEY}}\` };`);
  if (request.form) {
    out.push("const body = new FormData();");
    for (const [field, value] of request.form) out.push(value instanceof File ? `body.append(${JSON.stringify(field)}, new Blob([await readFile(${JSON.stringify(value.name)})]), ${JSON.stringify(value.name)});` : `body.append(${JSON.stringify(field)}, ${JSON.stringify(value)});`);
    out.push(`const response = await fetch(${JSON.stringify(base + request.path)}, { method: "POST", headers, body });`);
  } else {
    const file = (type, path) => `"data:${type};base64," + (await readFile(${JSON.stringify(path)})).toString("base64")`;
    out.push(`const response = await fetch(${JSON.stringify(base + request.path)}, {`, '    method: "POST",', '    headers: { ...headers, "Content-Type": "application/json" },', `    body: JSON.stringify(${source(request.json, SCRIPT, file, 2)}),`, "});");
  }
  out.push("if (!response.ok) throw new Error(await response.text());");
  if (kind === "chat") out.push("console.log((await response.json()).choices[0].message.content);");
  if (kind === "text") out.push("console.log((await response.json()).text);");
  if (kind === "picture") out.push(`await writeFile(${JSON.stringify(name)}, Buffer.from((await response.json()).data[0].b64_json, "base64"));`);
  if (kind === "file") out.push(`await writeFile(${JSON.stringify(name)}, Buffer.from(await response.arrayBuffer()));`);
  if (kind === "film") {
    out.push("let job = await response.json();", `const url = ${JSON.stringify(`${base}${request.path}/`)} + job.id;`, 'while (!["completed", "failed"].includes(job.status)) {', "    await new Promise((done) => setTimeout(done, 2000));", "    job = await (await fetch(url, { headers })).json();", "}", 'if (job.status === "failed") throw new Error(job.error.message);', 'const film = await fetch(url + "/content", { headers });', `await writeFile(${JSON.stringify(name)}, Buffer.from(await film.arrayBuffer()));`);
  }
  return out.join("\n");
}
