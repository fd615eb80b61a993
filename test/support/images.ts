/** What images.sh builds. */
export const TEST_IMAGE = 'polycrate-mcp-test/toolchain:1';
export const SSH_IMAGE = 'polycrate-mcp-test/ssh-target:1';
