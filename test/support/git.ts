import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ENV = {
  PATH: process.env['PATH'] ?? '',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_AUTHOR_NAME: 'Ada',
  GIT_AUTHOR_EMAIL: 'ada@example.com',
  GIT_COMMITTER_NAME: 'Ada',
  GIT_COMMITTER_EMAIL: 'ada@example.com',
};

/** What a person types in a repository of theirs. */
export function git(folder: string, ...args: string[]): string {
  const options = ['-c', 'protocol.file.allow=always', '-c', 'init.defaultBranch=main'];
  return execFileSync('git', [...options, ...args], { cwd: folder, env: ENV, encoding: 'utf8' }).trim();
}

/** Makes a repository of a folder as it is and answers the commit. */
export function committed(folder: string): string {
  git(folder, 'init', '--quiet');
  return commitAll(folder);
}

export function commitAll(folder: string, message = 'as it is'): string {
  git(folder, 'add', '--all');
  git(folder, 'commit', '--quiet', '--no-verify', '--message', message);
  return git(folder, 'rev-parse', 'HEAD');
}

/** Names a program wherever a configuration can; each leaves its name in the file of marks if it is executed. */
export function poison(folder: string, marks: string): void {
  const mark = (name: string): string => `sh -c 'echo ${name} >> ${marks}; cat'`;
  const settings: [string, string][] = [
    ['core.fsmonitor', mark('fsmonitor')],
    ['core.pager', mark('pager')],
    ['core.sshCommand', mark('ssh')],
    ['core.editor', mark('editor')],
    ['core.askPass', mark('askpass')],
    ['core.alternateRefsCommand', mark('alternates')],
    ['core.hooksPath', join(folder, '.git', 'hooks')],
    ['diff.external', mark('diff')],
    ['diff.evil.textconv', mark('textconv')],
    ['diff.evil.command', mark('command')],
    ['filter.evil.clean', mark('clean')],
    ['filter.evil.smudge', mark('smudge')],
    ['filter.evil.process', mark('process')],
    ['filter.evil.required', 'true'],
    ['gpg.program', mark('gpg')],
    ['log.showSignature', 'true'],
    ['alias.status', `!${mark('alias')}`],
    ['alias.rev-parse', `!${mark('alias')}`],
    ['remote.origin.url', `ext::${mark('remote')}`],
    ['remote.origin.promisor', 'true'],
    ['remote.origin.uploadpack', mark('uploadpack')],
    ['extensions.partialClone', 'origin'],
    ['protocol.ext.allow', 'always'],
    ['credential.helper', `!${mark('credential')}`],
    ['status.submoduleSummary', 'true'],
  ];
  git(folder, 'config', 'core.repositoryFormatVersion', '1');
  for (const [name, value] of settings) git(folder, 'config', name, value);
  writeFileSync(join(folder, '.git', 'info', 'attributes'), '* filter=evil diff=evil\n');
  for (const hook of ['post-index-change', 'post-checkout', 'reference-transaction', 'pre-auto-gc']) {
    const script = `#!/bin/sh\necho ${hook} >> ${marks}\n`;
    writeFileSync(join(folder, '.git', 'hooks', hook), script, { mode: 0o755 });
  }
}
