// Loaded before other modules (`node --import`): resolves React to version 18, in this folder.
import { register } from "node:module";

register("./resolve.mjs", import.meta.url);
