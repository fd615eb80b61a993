// Runs MCPJam's conformance suite against a server and prints what it found: the library, the address, a token.
import { pathToFileURL } from 'node:url';

const [library, serverUrl, accessToken] = process.argv.slice(2);
const { MCPConformanceTest } = await import(pathToFileURL(library).href);
const { checks } = await new MCPConformanceTest({ serverUrl, accessToken, checkTimeout: 10_000 }).run();
process.stdout.write(JSON.stringify(checks));
process.exit(0);
