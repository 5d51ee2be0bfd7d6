/** The random seed; `PROPERTY_SEED` in the environment overrides it. */
export const seed = Number(process.env.PROPERTY_SEED ?? 20_260_101)
