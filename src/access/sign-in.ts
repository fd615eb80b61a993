/** Where people log in who have no token at hand: the issuer of access tokens asks them who they are. */
export interface SignIn {
  /** The host that people are told of. */
  readonly at: string;
  /** Where the browser has to go. */
  begin(secrets: SignInSecrets): Promise<{ url: string } | SignInFailure>;
  /** The access token for what the browser brought back. */
  finish(secrets: SignInSecrets, answer: URLSearchParams): Promise<{ token: string } | SignInFailure>;
}

/** Of one login, which nobody can guess. */
export interface SignInSecrets {
  /** Comes back with the answer. */
  state: string;
  /** Proves that who exchanges the answer is who asked for it. */
  verifier: string;
}

export interface SignInFailure {
  failed: 'declined' | 'refused' | 'unreachable';
  /** What the issuer says about it, in its own words. */
  says: string | null;
}
