// @grpc/grpc-js, an HTTP/2 and gRPC implementation of its own, against the server
// runtime: every call kind over every transport, from the .proto files.
//
//   node test_echo.js SETUP.json
//
// SETUP.json is what run.sh writes. Prints "ok NAME", "FAIL NAME" or "skip NAME: WHY".
"use strict";
const assert = require("node:assert").strict;
const fs = require("node:fs");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const PATIENCE = 20000;
const setup = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
const options = { keepCase: true, longs: String, enums: String, defaults: true, oneofs: true, includeDirs: [setup.protos] };
const { echo } = grpc.loadPackageDefinition(loader.loadSync("echo/v1/echo_service.proto", options));
const { status } = grpc;

const deadline = () => new Date(Date.now() + PATIENCE);
const pause = () => new Promise((done) => setTimeout(done, 10));

async function eventually(condition, what) {
  const until = Date.now() + PATIENCE;
  while (!(await condition())) {
    assert(Date.now() < until, what);
    await pause();
  }
}

/** A unary or client-streaming call as a promise; the call itself is promise.call. */
function unary(client, method, request, { timeout = PATIENCE, metadata = new grpc.Metadata() } = {}) {
  let call;
  const promise = new Promise((resolve, reject) => {
    call = client[method](request, metadata, { deadline: Date.now() + timeout }, (error, response) =>
      error ? reject(error) : resolve(response)
    );
  });
  promise.call = call;
  return promise;
}

async function errorOf(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("the call succeeded");
}

/** All messages of a stream; rejects with its error. */
function collect(stream) {
  return new Promise((resolve, reject) => {
    const all = [];
    stream.on("data", (message) => all.push(message));
    stream.on("error", reject);
    stream.on("end", () => resolve(all));
  });
}

const stats = (client) => unary(client, "Stats", {});

const tests = {
  async every_kind_of_field_comes_back({ client }) {
    const request = {
      text: "grüße 鏡像 🐳",
      data: Buffer.from([0, 1, 254, 255]),
      labels: { a: "1", "": "empty key", ü: "" },
      parts: { 3: { name: "three", deltas: ["-1", "9223372036854775807"], leaves: [{ raw: Buffer.from("x") }] } },
      word: "chosen",
      numbers: ["0", "18446744073709551615"],
      color: "COLOR_BLUE",
      colors: ["COLOR_RED", "COLOR_UNSPECIFIED"],
      ratio: -0.125,
      flag: true,
      when: { seconds: "-62135596800", nanos: 999999999 },
      lines: ["", "two", "ß"],
      fixed: "9223372036854775808",
      negative: "-9223372036854775808",
    };
    for (const method of ["Echo", "EchoInline"]) {
      const answer = (await unary(client, method, request)).echo;
      assert.equal(answer.choice, "word");
      delete answer.choice;
      assert.deepEqual(JSON.parse(JSON.stringify(answer)), JSON.parse(JSON.stringify(request)));
    }
  },

  async server_stream_is_in_order({ client }) {
    const chunks = await collect(client.Count({ count: 200, size: 70000 }, { deadline: deadline() }));
    assert.deepEqual(
      chunks.map((chunk) => Number(chunk.serial)),
      Array.from({ length: 200 }, (_, i) => i + 1)
    );
    assert(chunks.every((chunk) => chunk.data.length === 70000));
  },

  async client_stream_is_summed_up({ client }) {
    const answer = await new Promise((resolve, reject) => {
      const call = client.Upload({ deadline: deadline() }, (error, response) => (error ? reject(error) : resolve(response)));
      for (let i = 0; i < 100; i++) call.write({ serial: i, data: Buffer.alloc(i * 1000) });
      call.end();
    });
    assert.deepEqual([answer.chunks, answer.bytes], ["100", String(((99 * 100) / 2) * 1000)]);
  },

  async both_directions_take_turns({ client }) {
    const call = client.Chat({ deadline: deadline() });
    const words = Array.from({ length: 50 }, (_, i) => `word ${i}`);
    const answers = collect(call);
    for (const text of words) call.write({ text });
    call.end();
    assert.deepEqual((await answers).map((answer) => answer.echo.text), words);
  },

  async many_calls_at_once({ client }) {
    const answers = await Promise.all(Array.from({ length: 64 }, (_, i) => unary(client, "Echo", { text: `${i}` })));
    answers.forEach((answer, i) => assert.equal(answer.echo.text, `${i}`));
  },

  async error_carries_its_details({ client }) {
    const request = { reason: "DISK_FULL", text: "100 % full: größe", needed_bytes: "1000000000000", free_bytes: "5" };
    const error = await errorOf(unary(client, "Fail", request));
    assert.deepEqual([error.code, error.details], [status.RESOURCE_EXHAUSTED, request.text]);
    const [details] = error.metadata.get("grpc-status-details-bin");
    assert(Buffer.isBuffer(details));
    for (const part of ["google.rpc.ErrorInfo", "DISK_FULL", "imaged.dev", "needed_bytes", "1000000000000", request.text])
      assert(details.includes(Buffer.from(part)), part);
  },

  async unknown_methods_are_unimplemented({ client }) {
    const identity = (x) => x;
    for (const path of ["/echo.v1.EchoService/Nope", "/no.Service/Echo"]) {
      const error = await errorOf(
        new Promise((resolve, reject) =>
          client.makeUnaryRequest(path, identity, identity, Buffer.alloc(0), (e, r) => (e ? reject(e) : resolve(r)))
        )
      );
      assert.equal(error.code, status.UNIMPLEMENTED);
    }
    assert.equal((await errorOf(unary(client, "Missing", {}))).code, status.UNIMPLEMENTED);
  },

  async garbage_is_invalid_argument({ client }) {
    const identity = (x) => x;
    const error = await errorOf(
      new Promise((resolve, reject) =>
        client.makeUnaryRequest("/echo.v1.EchoService/Echo", identity, identity, Buffer.from([255, 255]), (e, r) =>
          e ? reject(e) : resolve(r)
        )
      )
    );
    assert.equal(error.code, status.INVALID_ARGUMENT);
  },

  async big_messages_are_refused({ client }) {
    const error = await errorOf(unary(client, "Echo", { data: Buffer.alloc(5 << 20) }));
    assert.equal(error.code, status.RESOURCE_EXHAUSTED);
  },

  // gRPC core closes the connection behind it: on one of its own.
  async big_metadata_is_refused({ transport }) {
    const client = connect(transport);
    const metadata = new grpc.Metadata();
    metadata.set("x-big", "v".repeat(20000));
    const error = await errorOf(unary(client, "Echo", {}, { metadata }));
    assert.equal(error.code, status.RESOURCE_EXHAUSTED);
    client.close();
  },

  async deadline_reaches_the_handler({ client }) {
    const before = Number((await stats(client)).expired);
    const error = await errorOf(unary(client, "Sleep", { ms: 600000 }, { timeout: 200 }));
    assert.equal(error.code, status.DEADLINE_EXCEEDED);
    await eventually(async () => Number((await stats(client)).expired) === before + 1, "the handler saw no deadline");
  },

  async cancellation_reaches_the_handler({ client }) {
    const before = await stats(client);
    const sleep = unary(client, "Sleep", { ms: 600000 });
    const ended = errorOf(sleep);
    const count = client.Count({ count: "1000000000", size: 100000 });
    const counted = errorOf(collect(count));
    await eventually(async () => Number((await stats(client)).running) === Number(before.running) + 2, "not running");
    sleep.call.cancel();
    count.cancel();
    assert.equal((await ended).code, status.CANCELLED);
    assert.equal((await counted).code, status.CANCELLED);
    await eventually(
      async () => Number((await stats(client)).cancelled) === Number(before.cancelled) + 2,
      "the handlers saw no cancellation"
    );
  },

  // Node's http2 sends END_STREAM before RST_STREAM, so a cancelled upload looks
  // whole for a moment; what streams upload must carry an end of their own.
  async upload_that_is_cancelled_ends({ client }) {
    const before = await stats(client);
    const running = async () => Number((await stats(client)).running) - Number(before.running);
    for (let i = 0; i < 20; i++) {
      const call = client.Upload({ deadline: deadline() }, () => {});
      call.write({ data: Buffer.from("part") });
      await eventually(async () => (await running()) === 1, "the upload does not run");
      call.cancel();
      await eventually(async () => (await running()) === 0, "the upload still runs");
    }
  },

  async identity_fits_the_transport({ client, transport }) {
    const metadata = new grpc.Metadata();
    metadata.set("x509_common_name", "mallory");
    const me = await unary(client, "WhoAmI", {}, { metadata });
    if (transport === "unix") assert.deepEqual([me.kind, me.uid, me.pid], ["UNIX", process.getuid(), process.pid]);
    else if (transport === "mtls")
      assert.deepEqual([me.kind, me.common_name, me.alt_names], ["CERTIFICATE", "alice", ["alice.example"]]);
    else assert.deepEqual([me.kind, me.common_name], ["NONE", ""]);
  },
};

function credentials(transport) {
  const read = (name) => fs.readFileSync(setup.files[name]);
  if (transport === "tls") return grpc.credentials.createSsl(read("ca"));
  if (transport === "mtls") return grpc.credentials.createSsl(read("ca"), read("key"), read("cert"));
  return grpc.credentials.createInsecure();
}

function connect(transport) {
  const target = setup.addresses[transport].replace("tcp://", "").replace("unix://", "unix:");
  return new echo.v1.EchoService(target, credentials(transport), { "grpc.use_local_subchannel_pool": 1 });
}

async function main() {
  let failed = 0;
  for (const transport of ["unix", "tcp", "tls", "mtls"]) {
    const client = connect(transport);
    for (const [name, run] of Object.entries(tests)) {
      try {
        await run({ client, transport });
        console.log(`ok node.${transport}.${name}`);
      } catch (error) {
        failed++;
        console.error(error);
        console.log(`FAIL node.${transport}.${name}`);
      }
    }
    client.close();
  }
  process.exitCode = failed ? 1 : 0;
}

main();
