// A model's text as elements: the plain part of Markdown. Text only ever becomes text nodes, and a link only leads to http(s).
import { copy, el } from "./play.js";

const INLINE = /(`+)(.+?)\1|\*\*(.+?)\*\*|__(.+?)__|\*([^*\s](?:[^*]*[^*\s])?)\*|\[([^\]]+)\]\((https?:\/\/[^\s)]+)\)|(https?:\/\/[^\s<>()]+[^\s<>().,;:!?'"])/g;
const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/;

/** The elements of a text. */
export function markdown(text) {
  const lines = text.replaceAll("\r", "").split("\n");
  const out = document.createDocumentFragment();
  for (let at = 0; at < lines.length;) {
    const line = lines[at];
    const fence = line.match(/^\s*(`{3,}|~{3,})\s*([\w+#.-]*)/);
    if (fence) {
      const inside = [];
      for (at++; at < lines.length && !lines[at].trim().startsWith(fence[1]); at++) inside.push(lines[at]);
      at++;
      out.append(codeBlock(inside.join("\n"), fence[2]));
    } else if (!line.trim()) at++;
    else if (/^#{1,6}\s/.test(line)) {
      const level = line.match(/^#+/)[0].length;
      out.append(el("p", { class: "play-heading", role: "heading", "aria-level": String(Math.min(6, level + 2)) }, inline(line.replace(/^#+\s+/, "").replace(/\s+#+$/, ""))));
      at++;
    } else if (/^\s*([-*_])(\s*\1){2,}\s*$/.test(line)) { out.append(el("hr")); at++; }
    else if (/^>\s?/.test(line)) {
      const inside = [];
      for (; at < lines.length && /^>\s?/.test(lines[at]); at++) inside.push(lines[at].replace(/^>\s?/, ""));
      out.append(el("blockquote", {}, markdown(inside.join("\n"))));
    } else if (ITEM.test(line)) at = list(lines, at, out);
    else if (line.includes("|") && /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)+\|?\s*$/.test(lines[at + 1] || "")) at = table(lines, at, out);
    else {
      const inside = [line];
      for (at++; at < lines.length && lines[at].trim() && !/^(\s*(`{3,}|~{3,})|#{1,6}\s|>\s?)/.test(lines[at]) && !ITEM.test(lines[at]); at++) inside.push(lines[at]);
      out.append(el("p", {}, inside.flatMap((one, number) => (number ? [el("br"), ...inline(one)] : inline(one)))));
    }
  }
  return out;
}

function list(lines, at, out) {
  const [, indent, bullet] = lines[at].match(ITEM);
  const ordered = /\d/.test(bullet);
  const made = el(ordered ? "ol" : "ul", ordered && parseInt(bullet, 10) !== 1 ? { start: String(parseInt(bullet, 10)) } : {});
  while (at < lines.length) {
    const found = lines[at].match(ITEM);
    if (!found || found[1].length < indent.length || /\d/.test(found[2]) !== ordered) break;
    if (found[1].length > indent.length + 1 && made.lastChild) { at = list(lines, at, made.lastChild); continue; }
    const inside = [found[3]];
    for (at++; at < lines.length && lines[at].trim() && !ITEM.test(lines[at]) && /^\s/.test(lines[at]); at++) inside.push(lines[at].trim());
    made.append(el("li", {}, inline(inside.join(" "))));
    if (at + 1 < lines.length && !lines[at].trim() && ITEM.test(lines[at + 1])) at++;
  }
  out.append(made);
  return at;
}

function table(lines, at, out) {
  const cells = (line) => line.trim().replace(/^\||\|$/g, "").split("|").map((cell) => cell.trim());
  const head = el("tr", {}, cells(lines[at]).map((cell) => el("th", { scope: "col" }, inline(cell))));
  const body = el("tbody");
  for (at += 2; at < lines.length && lines[at].includes("|"); at++) body.append(el("tr", {}, cells(lines[at]).map((cell) => el("td", {}, inline(cell)))));
  out.append(el("div", { class: "table", tabindex: "0", role: "region", "aria-label": "Table" }, el("table", {}, el("thead", {}, head), body)));
  return at;
}

function inline(text) {
  const out = [];
  let end = 0;
  for (const found of text.matchAll(INLINE)) {
    if (found.index > end) out.push(text.slice(end, found.index));
    const [whole, , code, strong, strong2, soft, words, address, bare] = found;
    if (code != null) out.push(el("code", {}, code.trim() || code));
    else if (strong ?? strong2) out.push(el("strong", {}, inline(strong ?? strong2)));
    else if (soft) out.push(el("em", {}, inline(soft)));
    else out.push(el("a", { href: address || bare, rel: "noopener noreferrer nofollow", target: "_blank" }, words || bare));
    end = found.index + whole.length;
  }
  if (end < text.length) out.push(text.slice(end));
  return out;
}

function codeBlock(text, language) {
  const button = el("button", { type: "button", class: "quiet small", onclick: () => copy(button, text) }, "Copy");
  return el("div", { class: "play-block" }, el("div", { class: "row between" }, el("span", { class: "soft small" }, language || "code"), button), el("pre", { tabindex: "0", "aria-label": "Code" }, el("code", {}, text)));
}
