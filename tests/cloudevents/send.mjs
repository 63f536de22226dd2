// Sends events with the CloudEvents SDK for JavaScript. Reads {url, authorization, sendings: [{mode,
// events}]} from standard input, and prints the responses: [{status, body}].
import { CloudEvent, HTTP, Mode, emitterFor } from "cloudevents";
import { text } from "node:stream/consumers";

const { url, authorization, sendings } = JSON.parse(await text(process.stdin));

async function post({ headers, body }) {
  const answer = await fetch(url, { method: "POST", headers: { ...headers, authorization }, body });
  return { status: answer.status, body: await answer.json() };
}

function eventOf({ bytes, ...event }) {
  return new CloudEvent(bytes === undefined ? event : { ...event, data: Buffer.from(bytes, "base64") });
}

// The SDK cannot write batches: its structured events are joined here.
function batch(events) {
  const body = `[${events.map((event) => HTTP.structured(event).body).join(",")}]`;
  return post({ headers: { "content-type": "application/cloudevents-batch+json" }, body });
}

const answers = [];
for (const { mode, events } of sendings) {
  const made = events.map(eventOf);
  if (mode === "batch") {
    answers.push(await batch(made));
    continue;
  }
  const emit = emitterFor(post, { mode: mode === "binary" ? Mode.BINARY : Mode.STRUCTURED });
  for (const event of made) answers.push(await emit(event));
}
console.log(JSON.stringify(answers));
