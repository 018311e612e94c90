/** `arn:aws:sts::123456789012:assumed-role/ROLE/SESSION`; nothing of any other caller. */
export function roleOf(arn: string): { roleName?: string; sessionName?: string } {
  const [kind, roleName, sessionName] = arn.split(':').slice(5).join(':').split('/');
  return kind === 'assumed-role' && roleName && sessionName ? { roleName, sessionName } : {};
}
