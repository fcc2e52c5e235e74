// The documentation of the API, made from /api/v1/openapi.json. Text only ever becomes text nodes.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete"];
let api;

function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function resolve(schema) {
  return schema && schema.$ref ? api.components.schemas[schema.$ref.split("/").pop()] : schema || {};
}

function typeName(schema) {
  if (!schema) return "any";
  if (schema.$ref) return schema.$ref.split("/").pop().replace(/^Items_(.+)_$/, "page of $1");
  if (schema.anyOf) return schema.anyOf.map(typeName).join(" or ");
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.type === "array") return `list of ${typeName(schema.items)}`;
  return schema.format || schema.type || "any";
}

function example(schema, depth = 0) {
  const found = resolve(schema);
  if (found.default !== undefined) return found.default;
  if (found.anyOf) return example(found.anyOf.find((part) => part.type !== "null"), depth);
  if (found.enum) return found.enum[0];
  if (found.type === "object" && found.properties && depth < 3) {
    const required = found.required || [];
    const names = Object.keys(found.properties).filter((name) => depth === 0 || required.includes(name));
    return Object.fromEntries(names.map((name) => [name, example(found.properties[name], depth + 1)]));
  }
  if (found.type === "array") return [];
  return { string: found.format === "date-time" ? new Date().toISOString() : "", integer: 0, number: 0, boolean: false, object: {} }[found.type] ?? null;
}

function words(text) {
  return (text || "").split(/(`[^`]+`|\*\*[^*]+\*\*)/).map((piece) => {
    if (piece.startsWith("`")) return element("code", {}, piece.slice(1, -1));
    if (piece.startsWith("**")) return element("strong", {}, piece.slice(2, -2));
    return piece;
  });
}

function paragraphs(text) {
  return (text || "").split(/\n\s*\n/).filter(Boolean).map((part) => element("p", {}, ...words(part)));
}

function fields(schema, seen = new Set()) {
  const found = resolve(schema);
  const items = found.properties && found.properties.items ? resolve(found.properties.items.items) : null;
  const shown = items && items.properties ? items : found;
  if (!shown.properties) return null;
  const rows = Object.entries(shown.properties).map(([name, property]) =>
    element("tr", {},
      element("td", {}, element("code", { class: (shown.required || []).includes(name) ? "required" : "" }, name)),
      element("td", {}, typeName(property)),
      element("td", {}, ...words(property.description))));
  return element("table", {}, element("tbody", {}, ...rows));
}

function parameterTable(parameters, inputs) {
  if (!parameters.length) return null;
  const rows = parameters.map((parameter) => {
    const input = element("input", { "aria-label": parameter.name, placeholder: parameter.schema && parameter.schema.default !== undefined ? JSON.stringify(parameter.schema.default) : "" });
    inputs.push([parameter, input]);
    return element("tr", {},
      element("td", {}, element("code", { class: parameter.required ? "required" : "" }, parameter.name), " ", element("small", {}, parameter.in)),
      element("td", {}, typeName(parameter.schema)),
      element("td", {}, ...words(parameter.description)),
      element("td", {}, input));
  });
  return element("table", {}, element("tbody", {}, ...rows));
}

async function send(method, path, inputs, body, output) {
  let url = path;
  const query = new URLSearchParams();
  const headers = {};
  const token = document.getElementById("token").value.trim();
  if (token) headers.Authorization = `Bearer ${token}`;
  for (const [parameter, input] of inputs) {
    const value = input.value.trim();
    if (parameter.in === "path") url = url.replace(`{${parameter.name}}`, encodeURIComponent(value));
    else if (value && parameter.in === "query") value.split(",").forEach((part) => query.append(parameter.name, part.trim()));
    else if (value && parameter.in === "header") headers[parameter.name] = value;
  }
  if (body) headers["Content-Type"] = "application/json";
  if (query.size) url += `?${query}`;
  output.textContent = "…";
  try {
    const began = performance.now();
    const reply = await fetch(url, { method, headers, body: body || undefined });
    const text = await reply.text();
    let shown = text;
    try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* not JSON: shown as it came */ }
    output.textContent = `${reply.status} ${reply.statusText} · ${Math.round(performance.now() - began)} ms\n\n${shown.slice(0, 200000)}`;
  } catch (error) {
    output.textContent = `not sent: ${error.message}`;
  }
}

function operation(path, method, spec) {
  const verb = method.toUpperCase();
  const details = element("details", { class: "operation", id: spec.operationId });
  details.append(element("summary", {},
    element("span", { class: `method ${verb}` }, verb), element("span", { class: "path" }, path), element("span", { class: "summary" }, spec.summary || "")));
  details.addEventListener("toggle", () => {
    if (!details.open || details.querySelector(".inside")) return;
    const inputs = [];
    const schema = spec.requestBody && spec.requestBody.content["application/json"].schema;
    const body = schema ? element("textarea", { spellcheck: "false", "aria-label": "Body" }) : null;
    if (body) body.value = JSON.stringify(example(schema), null, 2);
    const output = element("pre", { hidden: "" });
    const button = element("button", { type: "button", onclick: () => { output.hidden = false; send(verb, path, inputs, body && body.value, output); } }, "Send");
    const good = Object.entries(spec.responses).find(([status]) => status.startsWith("2"));
    const content = good && good[1].content && Object.values(good[1].content)[0];
    details.append(element("div", { class: "inside" },
      ...paragraphs(spec.description),
      spec.parameters ? element("h3", {}, "Parameters") : null, parameterTable(spec.parameters || [], inputs),
      schema ? element("h3", {}, "Body") : null, schema ? fields(schema) : null, body,
      element("h3", {}, "Reply"), content && content.schema ? element("p", {}, element("code", {}, `${good[0]} ${typeName(content.schema)}`)) : element("p", {}, element("code", {}, good ? good[0] : "")),
      content && content.schema ? fields(content.schema) : null,
      button, output));
  });
  return details;
}

function render() {
  document.getElementById("version").textContent = api.info.version;
  const main = document.getElementById("main");
  const index = document.getElementById("index");
  main.replaceChildren(...describe(api.info.description));
  index.replaceChildren();
  const groups = new Map();
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const method of METHODS.filter((name) => methods[name])) {
      const tag = methods[method].tags[0];
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push([path, method, methods[method]]);
    }
  }
  for (const [tag, operations] of groups) {
    index.append(element("li", { class: "tag" }, tag));
    main.append(element("h2", {}, tag));
    for (const [path, method, spec] of operations) {
      const made = operation(path, method, spec);
      main.append(made);
      const link = element("a", { href: `#${spec.operationId}`, onclick: () => { made.open = true; } }, spec.summary || path);
      index.append(element("li", { "data-text": `${path} ${spec.summary}`.toLowerCase() }, link));
    }
  }
  const wanted = location.hash && document.getElementById(location.hash.slice(1));
  if (wanted) { wanted.open = true; wanted.scrollIntoView(); }
}

function describe(text) {
  const [lead, ...rest] = text.split(/\n\s*\n/);
  const points = rest.join("\n").split(/^\* /m).filter((part) => part.trim());
  return [...paragraphs(lead), element("ul", {}, ...points.map((point) => element("li", {}, ...paragraphs(point))))];
}

async function checkToken() {
  const who = document.getElementById("who");
  const token = document.getElementById("token").value.trim();
  if (!token) { who.textContent = ""; return; }
  const reply = await fetch("/api/v1/workflows?limit=1", { headers: { Authorization: `Bearer ${token}` } });
  who.textContent = reply.ok ? "✓" : "not valid";
}

document.getElementById("token-form").addEventListener("submit", (event) => event.preventDefault());
document.getElementById("token").addEventListener("change", checkToken);
document.getElementById("filter").addEventListener("input", (event) => {
  const wanted = event.target.value.toLowerCase();
  document.querySelectorAll("#index li[data-text]").forEach((item) => { item.hidden = !item.dataset.text.includes(wanted); });
});
fetch("/api/v1/openapi.json").then((reply) => reply.json()).then((document_) => { api = document_; render(); })
  .catch((error) => { document.getElementById("main").textContent = `The document could not be loaded: ${error.message}`; });
