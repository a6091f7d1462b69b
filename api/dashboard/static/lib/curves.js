// From a job's metrics to the lines of its charts.

/** 95 % of a normal distribution. */
const Z = 1.96;

const of = (path) => (metrics) => path.split("/").reduce((value, name) => value?.[name], metrics) ?? null;

function line(name, color, steps, value, extra = {}) {
  return { name, color, points: steps.map((metrics) => ({ x: metrics.step, y: value(metrics) })).filter((point) => point.y !== null), ...extra };
}

/** A mean with the band of its standard error, taken over all samples. */
function banded(name, color, steps, mean, std, graded, extra = {}) {
  const points = [];
  for (const metrics of steps) {
    const y = mean(metrics);
    if (y === null) continue;
    const n = graded(metrics);
    const half = n > 1 && std(metrics) !== null ? (Z * std(metrics)) / Math.sqrt(n) : null;
    points.push(half === null ? { x: metrics.step, y } : { x: metrics.step, y, low: y - half, high: y + half, text: ` ± ${half.toPrecision(2)}` });
  }
  return { name, color, points, ...extra };
}

export function rewardLines(steps) {
  return [
    banded("train", "--train", steps, of("train_mean_reward"), of("touchstone/train_reward_std"), of("touchstone/train_graded")),
    banded("validation", "--valid", steps, of("full_valid_mean_reward"), of("touchstone/valid_reward_std"), of("touchstone/valid_graded"), { markers: true }),
  ];
}

/** One line for each grader and split; single graders have one grader, which is the reward itself. */
export function graderLines(steps, path, field, { splits = ["train", "valid"] } = {}) {
  const graders = of(path)(steps.at(-1) ?? {}) ?? [];
  return graders.flatMap((grader, index) =>
    splits.map((split) =>
      line(`${grader.name}${split === "valid" ? " (validation)" : ""}`, `--series-${(index % 8) + 1}`, steps, (metrics) => of(path)(metrics)?.[index]?.[field(split)] ?? null, { dashed: split === "valid", label: split === "valid" ? "validation" : grader.name }),
    ),
  );
}

function errorShare(grader) {
  const shares = Object.entries(grader ?? {}).filter(([name, value]) => /^train_.*_error_mean$/.test(name) && value !== null);
  return shares.length ? shares.reduce((sum, [, value]) => sum + value, 0) : null;
}

/** Every smaller chart of a job: its title, a sentence, and its lines; `where` tells which jobs have it, if not all do. */
export const CHARTS = [
  {
    title: "Reward by grader",
    lines: (steps) => graderLines(steps, "scores/graders", (split) => `${split}_reward_mean`),
    subtitle: "Samples that could not be graded are left out.",
  },
  {
    title: "Completion length",
    y: "tokens",
    lines: (steps) => [line("train", "--train", steps, of("completion_tokens_mean")), line("validation", "--valid", steps, of("valid_completion_tokens_mean"), { markers: true }), line("of it reasoning", "--series-3", steps, (metrics) => of("reasoning_tokens_mean")(metrics) || null)],
    subtitle: "Mean tokens of an answer.",
  },
  {
    title: "Groups with spread",
    fromZero: true,
    lines: (steps) => [line("share", "--series-4", steps, of("touchstone/groups_with_spread")), line("truncated answers", "--series-3", steps, of("touchstone/truncated"))],
    subtitle: "Only groups whose samples differ in reward teach anything.",
  },
  {
    title: "Entropy",
    fromZero: true,
    y: "nats",
    lines: (steps) => [line("entropy", "--series-7", steps, of("touchstone/update/entropy"))],
    subtitle: "A collapse towards zero means that the model stopped exploring.",
  },
  {
    title: "KL to the reference policy",
    y: "nats",
    lines: (steps) => [line("KL", "--series-5", steps, (metrics) => of("touchstone/update/kl")(metrics) || null)],
    subtitle: "How far the model has moved.",
    where: (job) => job.touchstone?.kl_coef > 0,
  },
  {
    title: "Gradient norm",
    fromZero: true,
    lines: (steps) => [line("before clipping", "--series-6", steps, of("touchstone/update/grad_norm"))],
    subtitle: "Before clipping; spikes mean unstable updates.",
  },
  {
    title: "Trainer against sampler",
    lines: (steps) => [line("largest |log ratio|", "--series-5", steps, of("touchstone/update/ratio_max")), line("clipped share", "--series-8", steps, of("touchstone/update/clip_fraction"))],
    subtitle: "Whether both compute the same probabilities.",
  },
  {
    title: "Grader errors",
    fromZero: true,
    lines: (steps) => {
      const graders = of("errors/graders")(steps.at(-1) ?? {}) ?? [];
      return graders.map((grader, index) => line(grader.name, `--series-${(index % 8) + 1}`, steps, (metrics) => errorShare(metrics.errors?.graders?.[index])));
    },
    subtitle: "Share of samples that a grader could not grade.",
  },
  {
    title: "Grader latency",
    fromZero: true,
    y: "seconds",
    lines: (steps) => graderLines(steps, "timing/graders", (split) => `${split}_execution_latency_mean`, { splits: ["train"] }),
    subtitle: "Mean time of one grade.",
  },
  {
    title: "Seconds per phase",
    fromZero: true,
    y: "seconds",
    lines: (steps) => [["sampling", "--series-1"], ["training", "--series-2"], ["eval", "--series-3"], ["full_iteration", "--series-8"]].map(([name, color]) => line(name.replace("_", " "), color, steps, (metrics) => of(`timing/step/${name}`)(metrics) || null, { dashed: name === "full_iteration" })),
    subtitle: "Where a step's time goes.",
  },
];
