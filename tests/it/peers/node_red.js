// Settings of the Node-RED that the tests run; see node_red.rs.
const fs = require("fs");
const bcrypt = require(`${process.env.MODULES}/bcryptjs`);
const { PORT, USERNAME, PASSWORD, KEEPER_TOKEN, ACCESS_LOG } = process.env;

module.exports = {
    uiHost: "127.0.0.1",
    uiPort: Number(PORT),
    flowFile: "flows.json",
    credentialSecret: "of no use outside of the test",
    adminAuth: {
        type: "credentials",
        users: [{ username: USERNAME, password: bcrypt.hashSync(PASSWORD, 8), permissions: "*" }],
        // The test's own questions must not be counted as attempts to sign in.
        tokens: async (token) => (token === KEEPER_TOKEN ? { username: "keeper", permissions: "*" } : null),
    },
    // One line per request, written before the answer is sent.
    httpAdminMiddleware: (request, response, next) => {
        const writeHead = response.writeHead;
        response.writeHead = function (status, ...rest) {
            fs.appendFileSync(ACCESS_LOG, `"${request.method} ${request.originalUrl} HTTP/1.1" ${status}\n`);
            return writeHead.call(this, status, ...rest);
        };
        next();
    },
    // Nothing here reaches out.
    telemetry: { enabled: false, updateNotification: false },
    diagnostics: { enabled: false, ui: false },
    externalModules: { autoInstall: false },
    editorTheme: { tours: false, palette: { allowInstall: false }, projects: { enabled: false } },
    logging: { console: { level: "info", metrics: false, audit: true } },
};
