/** Where what is drawn at random starts; `PROPERTY_SEED` in the environment changes it. */
export const seed = Number(process.env.PROPERTY_SEED ?? 20_260_101)
