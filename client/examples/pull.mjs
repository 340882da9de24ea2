// Pulls an image and shows how it comes.
//
//   node pull.mjs IMAGE [unix:///PATH | HOST:PORT]
//
// Needs @grpc/grpc-js and @grpc/proto-loader (npm install @grpc/grpc-js @grpc/proto-loader),
// and the .proto files that imaged installs: IMAGED_PROTOS names their folder, by default
// /usr/share/imaged/proto (pkg-config --variable=protodir imaged-client).
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

const [image, address = "unix:///run/imaged/imaged.sock"] = process.argv.slice(2);
const includeDirs = [process.env.IMAGED_PROTOS ?? "/usr/share/imaged/proto"];
const options = { includeDirs, keepCase: true, longs: String, enums: String, defaults: true, oneofs: true };
const load = (...files) => loader.loadSync(files, options);

const { imaged } = grpc.loadPackageDefinition(load("imaged/v1/image_service.proto"));
const rpc = load("google/rpc/status.proto", "google/rpc/error_details.proto");

/** The stable name of what went wrong, such as MANIFEST_UNKNOWN. */
function reason(error) {
  for (const bytes of error.metadata.get("grpc-status-details-bin")) {
    for (const { type_url, value } of rpc["google.rpc.Status"].deserialize(bytes).details) {
      if (type_url.endsWith("/google.rpc.ErrorInfo")) return rpc["google.rpc.ErrorInfo"].deserialize(value).reason;
    }
  }
  return grpc.status[error.code];
}

function show({ layer, done }) {
  if (layer) {
    const state = layer.state.replace("STATE_", "").toLowerCase().padEnd(11);
    console.log(`${layer.digest.slice(0, 19)} ${state} ${layer.current} of ${layer.total} bytes`);
  }
  if (done) console.log(`${done.reference} is ${done.image_id}`);
}

const client = new imaged.v1.ImageService(address, grpc.credentials.createInsecure());
try {
  for await (const event of client.Pull({ reference: image })) show(event);
} catch (error) {
  console.error(`pull: ${error.details} (${reason(error)})`);
  process.exitCode = 1;
} finally {
  client.close();
}
