import manifest from '../../package.json' with { type: 'json' };

export const VERSION: string = manifest.version;

/** The CLI's own toolchain image in the version that this release was made for (polycrate-cli facts 1.5). */
export const DEFAULT_IMAGE = 'cargo.ayedo.cloud/library/polycrate:0.40.0';

/** Any version of it may be named by a workspace, unless the operator configured another image. */
export const DEFAULT_IMAGES = 'cargo.ayedo.cloud/library/polycrate:*';
