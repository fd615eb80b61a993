import { createHash } from 'node:crypto';

/** A number generator of its own, so that the corpus is the same on every machine. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const WORDS = 'nginx postgresql redis grafana prometheus keycloak gitlab harbor loki traefik rabbitmq minio vault certbot haproxy'.split(' '); // prettier-ignore
const PLACES = 'prod staging web db cache edge mon ci'.split(' ');

/** Lines as Ansible, apt, docker, kubectl, helm, git, terraform, curl and systemd print them; no secret among them. */
export function ordinaryOutput(count: number): string[] {
  const below = numbers(7);
  const pick = <T>(list: readonly T[]): T => list[below(list.length)]!;
  const app = (): string => pick(WORDS);
  const host = (): string => `${pick(PLACES)}-${below(40)}.acme-corp.com`;
  const ip = (): string => `10.${below(256)}.${below(256)}.${below(256)}`;
  const sha = (length = 64): string =>
    createHash('sha256')
      .update(String(below(1e9)))
      .digest('hex')
      .slice(0, length);
  const uuid = (): string => sha(32).replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, '$1-$2-$3-$4-$5');
  const base64 = (bytes: number): string =>
    createHash('sha512')
      .update(String(below(1e9)))
      .digest()
      .subarray(0, bytes)
      .toString('base64');
  const at = (): string => new Date(1.79e12 + below(1e9)).toISOString();
  const version = (): string => `${below(20)}.${below(40)}.${below(10)}`;
  const user = (): string => pick(['deploy', 'root', 'postgres', 'www-data', 'gitlab-runner']);
  const templates: (() => string)[] = [
    () => `TASK [${app()} : Ensure ${app()} is ${pick(['installed', 'running', 'configured'])}] ${'*'.repeat(40)}`,
    () => `TASK [Set password for ${user()} and rotate the token of ${app()}] ${'*'.repeat(20)}`,
    () => `ok: [${host()}] => (item=None)`,
    () => `changed: [${host()}] => (item={'name': '${app()}', 'password': '{{ vault_${app()}_password }}', 'state': 'present'})`,
    () => `ok: [${host()}] => {"censored": "the output has been hidden due to the fact that 'no_log: true' was specified for this result", "changed": false}`,
    () => `fatal: [${host()}]: FAILED! => {"changed": false, "msg": "Could not find the requested service ${app()}: host"}`,
    () => `fatal: [${host()}]: UNREACHABLE! => {"changed": false, "msg": "Failed to connect to the host via ssh: ${user()}@${ip()}: Permission denied (publickey,password).", "unreachable": true}`,
    () => `ok: [${host()}] => {"ansible_facts": {"ansible_machine_id": "${sha(32)}", "ansible_default_ipv4": {"address": "${ip()}"}}, "changed": false}`,
    () => `    "ansible_ssh_host_key_ed25519_public": "AAAAC3NzaC1lZDI1NTE5AAAAI${base64(32)}",`,
    () => `changed: [${host()}] => {"changed": true, "checksum": "${sha(40)}", "dest": "/etc/${app()}/${app()}.conf", "gid": 0, "md5sum": "${sha(32)}", "mode": "0600", "owner": "${user()}", "secontext": "system_u:object_r:etc_t:s0", "size": ${below(9999)}, "state": "file"}`,
    () => `    "update_password": "always", "password": "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER", "password_expire_max": ${below(99)}, "name": "${user()}"`,
    () => `    "api_token": "********", "validate_certs": true, "token_ttl": ${below(9999)}, "url_password": null`,
    () => `${host().padEnd(27)}: ok=${below(90)}   changed=${below(30)}    unreachable=0    failed=${below(2)}    skipped=${below(9)}    rescued=0    ignored=0`,
    () => `[WARNING]: Platform linux on host ${host()} is using the discovered Python interpreter at /usr/bin/python3.11`,
    () => `[DEPRECATION WARNING]: The '${app()}.password' option is deprecated, use '${app()}_password_file' instead. This feature will be removed in version ${version()}.`,
    () => `Get:${below(99)} http://deb.debian.org/debian bookworm/main amd64 ${app()} amd64 ${version()}-${below(9)}+deb12u${below(9)} [${below(9999)} kB]`,
    () => `Setting up ${app()}-common (${version()}-${below(9)}ubuntu0.22.04.${below(9)}) ...`,
    () => `${sha(12)}: Pull complete`,
    () => `Digest: sha256:${sha()}`,
    () => `Status: Downloaded newer image for registry.acme-corp.com/${app()}/${app()}:v${version()}@sha256:${sha()}`,
    () => ` ---> Running in ${sha(12)}`,
    () => `secret/${app()}-credentials ${pick(['created', 'configured', 'unchanged'])}`,
    () => `serviceaccount/${app()}-token-reader ${pick(['created', 'unchanged'])}`,
    () => `${app()}-${sha(9)}-${sha(5)}   1/1     Running   ${below(9)}          ${below(99)}d   ${ip()}   ${host()}   <none>`,
    () => `default-token-${sha(5)}   kubernetes.io/service-account-token   3      ${below(400)}d`,
    () => `    secretName: ${app()}-tls-${below(99)}`,
    () => `    secretKeyRef: {name: ${app()}-credentials, key: password}`,
    () => `      Token:       /var/run/secrets/kubernetes.io/serviceaccount/token`,
    () => `  Warning  FailedMount  ${below(59)}m  kubelet  MountVolume.SetUp failed for volume "${app()}" : secret "${app()}-tls-${below(9)}" not found`,
    () => `  uid: ${uuid()}`,
    () => `Release "${app()}" has been upgraded. Happy Helming! REVISION: ${below(99)} TEST SUITE: None`,
    () => `1. Get your admin password by running: kubectl get secret --namespace ${app()} ${app()} -o jsonpath="{.data.password}" | base64 -d`,
    () => `export POSTGRES_PASSWORD=$(kubectl get secret --namespace ${app()} ${app()} -o jsonpath="{.data.postgres-password}" | base64 -d)`,
    () => `commit ${sha(40)} (HEAD -> main, tag: v${version()}, origin/main)`,
    () => `From github.com:acme-corp/${app()}   ${sha(7)}..${sha(7)}  main -> origin/main`,
    () => `   index ${sha(7)}..${sha(7)} 100644`,
    () => `hcloud_server.${app()}: Creation complete after ${below(60)}s [id=${below(99999999)}]`,
    () => `random_password.${app()}: Refreshing state... [id=none]`,
    () => `  + password = (sensitive value)`,
    () => `  + token    = (known after apply)`,
    () => `< HTTP/2 401  www-authenticate: Bearer realm="https://auth.acme-corp.com/token",service="registry.acme-corp.com"`,
    () => `* Server certificate: subject: CN=${host()}; SHA-256 fingerprint ${sha().match(/../g)!.join(':')}`,
    () => `${base64(48)}`,
    () => `-----BEGIN CERTIFICATE----- ${base64(45)}`,
    () => `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${base64(30)} ${user()}@${host()}`,
    () => `256 SHA256:${base64(32).slice(0, 43)} ${user()}@${host()} (ED25519)`,
    () => `${at()} INFO  [${uuid()}] o.k.events type=LOGIN realmId=${app()} clientId=${app()} userId=${uuid()} auth_method=openid-connect`,
    () => `${at()} level=warn msg="token expired, requesting a new one" component=${app()} token_type=bearer expires=${below(9999)}`,
    () => `Nov 23 10:${below(60)}:${below(60)} ${host().split('.')[0]} sshd[${below(99999)}]: Failed password for invalid user ${user()} from ${ip()} port ${below(65535)} ssh2`,
    () => `Nov 23 10:${below(60)}:${below(60)} ${host().split('.')[0]} sudo: pam_unix(sudo:session): session opened for user root(uid=0) by ${user()}(uid=${below(2000)})`,
    () => `Created symlink /etc/systemd/system/multi-user.target.wants/${app()}.service → /lib/systemd/system/${app()}.service.`,
    () => `     Active: active (running) since Mon 2026-11-23 10:00:00 UTC; ${below(59)}min ago`,
    () => `psql: error: connection to server at "${host()}" (${ip()}), port 5432 failed: FATAL:  password authentication failed for user "${user()}"`,
    () => `DETAIL:  Role "${user()}" has no password assigned.`,
    () => `npm WARN deprecated ${app()}@${version()}: use @${app()}/${app()} instead`,
    () => `"integrity": "sha512-${base64(64)}",`,
    () => `Requirement already satisfied: ${app()}>=${version()} in /usr/lib/python3/dist-packages (from ${app()}) (${version()})`,
    () => `https://${host()}:8443/api/v1/query?query=up&start=${below(1e9)}&user=${user()}@acme-corp.com`,
    () => `Cloning into '${app()}'... done. git@gitlab.acme-corp.com:infra/${app()}.git`,
    () => `included: /workspace/blocks/${app()}/tasks/${app()}_secrets.yml for ${host()}`,
    () => `skipping: [${host()}] => {"changed": false, "false_condition": "${app()}_token is not defined", "skip_reason": "Conditional result was False"}`,
    () => `passlib: using ${pick(['sha512_crypt', 'bcrypt'])} backend; password length: ${below(64)}, key: ${app()}.enabled`,
    () => `Die Übertragung von ${app()} ist fertig: ${below(999)} Dateien, Schlüssel unverändert ✔`,
    () => '',
  ]; // prettier-ignore
  return Array.from({ length: count }, () => pick(templates)());
}
