// The order of tests/clients/order.rs, traced by the Node.js SDK as its variables say.
//
// Prints name -> [trace id, span id, parent's span id] of what it made; fails when an export did.
"use strict";

const { context, diag, trace, DiagLogLevel, SpanKind, SpanStatusCode } =
  require("@opentelemetry/api");
const { setGlobalErrorHandler } = require("@opentelemetry/core");
const { NodeSDK } = require("@opentelemetry/sdk-node");

const failures = [];
const complain = (...what) => failures.push(what.map(String).join(" "));
const quiet = () => {};

const made = {};

function start(tracer, name, options, parent) {
  const under = parent ? trace.setSpan(context.active(), parent) : context.active();
  const span = tracer.startSpan(name, options, under);
  const { traceId, spanId } = span.spanContext();
  made[name] = [traceId, spanId, parent ? parent.spanContext().spanId : ""];
  return span;
}

function order(tracer, items) {
  const visit = start(tracer, "visit", { kind: SpanKind.SERVER });
  visit.end();
  const buy = start(tracer, "POST /buy", { kind: SpanKind.SERVER });
  buy.setAttributes({
    "http.request.method": "POST",
    "http.response.status_code": 402,
    "shop.member": true,
    "shop.total": 12.5,
    "shop.items": ["tea", "K\u00e4se \u2615"],
  });
  const links = [{ context: visit.spanContext() }];
  const charge = start(tracer, "charge", { kind: SpanKind.CLIENT, links }, buy);
  charge.addEvent("retry", { attempt: 2 });
  charge.end();
  start(tracer, "prices", {}, buy).end();
  buy.setStatus({ code: SpanStatusCode.ERROR, message: "card declined" });
  buy.end();
  for (let item = 0; item < items; item += 1) {
    start(tracer, `GET /item/${item}`, { kind: SpanKind.SERVER, attributes: { item } }).end();
  }
}

async function main() {
  // Without a client's certificate there is a warning for that; spans not taken are one too.
  const warn = (...what) => what.join(" ").includes("Partial Success") && complain(...what);
  const logger = { error: complain, warn, info: quiet, debug: quiet, verbose: quiet };
  diag.setLogger(logger, DiagLogLevel.WARN);
  const sdk = new NodeSDK();
  sdk.start();
  setGlobalErrorHandler(complain);
  order(trace.getTracer("shop", "1.0"), Number(process.argv[2]));
  await sdk.shutdown();
  console.log(JSON.stringify(made));
  if (failures.length > 0) {
    console.error("failed exports:", failures.join("; "));
    process.exitCode = 1;
  }
}

main();
