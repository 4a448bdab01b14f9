// A line of a CHANGELOG is the words of its change, without a commit's number in front. That packages beside it have a new
// version too goes without saying: all packages have one version.
module.exports = {
  getReleaseLine: async ({ summary }) => `- ${summary.trim().split('\n').join('\n  ')}`,
  getDependencyReleaseLine: async () => '',
};
