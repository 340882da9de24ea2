// Loads the images of an archive and shows what becomes of it.
//
//   node load.mjs FILE [unix:///PATH | HOST:PORT]
//
// Needs @grpc/grpc-js and @grpc/proto-loader (npm install @grpc/grpc-js @grpc/proto-loader),
// and the .proto files that imaged installs: IMAGED_PROTOS names their folder, by default
// /usr/share/imaged/proto (pkg-config --variable=protodir imaged-client).
import { createReadStream } from "node:fs";
import { pipeline } from "node:stream";

import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

const [file, address = "unix:///run/imaged/imaged.sock"] = process.argv.slice(2);
const includeDirs = [process.env.IMAGED_PROTOS ?? "/usr/share/imaged/proto"];
const options = { includeDirs, keepCase: true, longs: String, enums: String, defaults: true, oneofs: true };
const { imaged } = grpc.loadPackageDefinition(loader.loadSync("imaged/v1/image_service.proto", options));

/** What the call sends; the pipeline asks for one after the other as fast as they go out. */
async function* requests() {
  yield { start: {} };
  for await (const data of createReadStream(file, { highWaterMark: 256 * 1024 })) yield { data };
}

function show({ layer, image, done }) {
  if (layer) console.log(`${layer.diff_id.slice(0, 19)} ${layer.current} of ${layer.total} bytes`);
  if (image) console.log(`${image.references.join(", ") || "an image without name"} is ${image.image_id}`);
  if (done) console.log(`${done.new_bytes} bytes were new`);
}

const client = new imaged.v1.ImageService(address, grpc.credentials.createInsecure());
const call = client.Load();
try {
  pipeline(requests, call, () => {}); // a failure ends the call, and the loop below
  for await (const event of call) show(event);
} catch (error) {
  console.error(`load: ${error.details ?? error.message} (${grpc.status[error.code] ?? error.code})`);
  process.exitCode = 1;
} finally {
  client.close();
}
