// node validate.mjs FILE...: each document of YAML files against the model of its kind.
// Exit 1 when one of them is not what the API takes.
//
// The models check what they know and pass over what they do not. Whatever they never look at
// is a field that the API has not.
import { readFileSync } from "node:fs";
import { loadAll } from "js-yaml";

function watch(value, path, unseen) {
	if (typeof value !== "object" || value === null) return value;
	const children = new Map();
	if (!Array.isArray(value)) for (const key of Object.keys(value)) unseen.add(`${path}.${key}`);
	return new Proxy(value, {
		get(target, key, receiver) {
			unseen.delete(`${path}.${String(key)}`);
			if (!Object.hasOwn(target, key)) return Reflect.get(target, key, receiver);
			if (!children.has(key)) children.set(key, watch(target[key], `${path}.${String(key)}`, unseen));
			return children.get(key);
		},
		ownKeys(target) { // a map: its keys are the user's
			for (const key of Reflect.ownKeys(target)) unseen.delete(`${path}.${String(key)}`);
			return Reflect.ownKeys(target);
		},
	});
}

async function problems(document) {
	const unseen = new Set();
	try {
		const models = await import(`kubernetes-models/${document.apiVersion}`);
		watch(new models[document.kind](document), "", unseen).validate();
	} catch (error) {
		return [error.message];
	}
	return [...unseen].map((path) => `no field ${path}`);
}

let broken = 0;
for (const file of process.argv.slice(2)) {
	for (const document of loadAll(readFileSync(file, "utf8"))) {
		const found = await problems(document);
		console.log(`${document.kind} ${document.metadata?.name}: ${found.join("; ") || "valid"}`);
		broken += found.length;
	}
}
process.exit(broken ? 1 : 0);
