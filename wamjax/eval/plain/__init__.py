"""The evaluation that a user would write otherwise: C MuJoCo, OpenGL world by world, NumPy between.

    every `replan` ticks:  for each world and camera: mujoco.Renderer -> pictures
                           policy(pictures) -> actions, one batch, jitted
    every tick:            control law, one batch, jitted -> ramp of controls, NumPy
                           C MuJoCo steps all worlds on all cores, in float64
                           success test, one batch, jitted

It plays the worlds of `bench_case.Case`, the same as the compiled program does. What could slow it
down without need is left out: physics run on the model without what is only drawn, the distractors
that clean worlds hide are not drawn, the shadow map is 1024 and there is no multisampling, and of
two ways to step all worlds (`mujoco.rollout`, and mj_step in a pool of threads) the faster one is
taken. OpenGL has to be chosen before MuJoCo is imported, so the loop lives in a process of its own.
"""
