// Draws the small Markdown subset that the bot may use: **strong**, *emphasis*, lists and links.
// Rules: nothing but DOM building, so text can never become markup; no pictures; links only to https, mailto and tel.
// Every pattern is bounded, so a hostile text costs linear time.

const INLINE = /\*\*([^*\n]{1,400})\*\*|\*([^*\n]{1,400})\*|\[([^\][\n]{1,200})\]\(([^()\s]{1,600})\)|(https:\/\/[^\s<>"'()[\]]{1,600})/g;
const ITEM = /^\s{0,3}(?:[-*]|(\d{1,3})[.)])\s+(.*)$/;
const SCHEMES = new Set(["https:", "mailto:", "tel:"]);

export function render(text) {
  const out = document.createDocumentFragment();
  let list = null;
  let lines = [];
  const flush = () => {
    if (lines.length) out.append(paragraph(lines));
    lines = [];
  };
  for (const line of text.split("\n")) {
    const item = ITEM.exec(line);
    if (item) {
      flush();
      const kind = item[1] ? "OL" : "UL";
      if (!list || list.tagName !== kind) out.append((list = document.createElement(kind)));
      const entry = document.createElement("li");
      inline(entry, item[2]);
      list.append(entry);
    } else if (line.trim()) {
      list = null;
      lines.push(line);
    } else {
      list = null;
      flush();
    }
  }
  flush();
  return out;
}

export function link(target, text) {
  const url = safe(target);
  if (!url) return document.createTextNode(text);
  const anchor = document.createElement("a");
  anchor.href = url.href;
  anchor.rel = "noopener noreferrer nofollow ugc";
  anchor.target = "_blank";
  anchor.textContent = text;
  if (url.protocol === "https:") anchor.title = url.host;
  return anchor;
}

function safe(target) {
  try {
    const url = new URL(target);
    return SCHEMES.has(url.protocol) && !url.username ? url : null;
  } catch {
    return null;
  }
}

function paragraph(lines) {
  const block = document.createElement("p");
  lines.forEach((line, index) => {
    if (index) block.append(document.createElement("br"));
    inline(block, line);
  });
  return block;
}

function inline(parent, text) {
  let end = 0;
  for (const found of text.matchAll(INLINE)) {
    parent.append(text.slice(end, found.index), piece(found));
    end = found.index + found[0].length;
  }
  parent.append(text.slice(end));
}

function piece([all, strong, emphasis, label, target, bare]) {
  if (label) return safe(target) ? link(target, label) : document.createTextNode(all);
  if (bare) return bareLink(bare);
  const node = document.createElement(strong ? "strong" : "em");
  node.textContent = strong || emphasis;
  return node;
}

function bareLink(address) {
  const tail = /[.,;:!?]+$/.exec(address)?.[0] ?? "";
  const out = document.createDocumentFragment();
  const target = address.slice(0, address.length - tail.length);
  out.append(link(target, target), tail);
  return out;
}
