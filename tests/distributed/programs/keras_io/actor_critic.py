"""Reinforcement learning: each rank plays its share of the episodes, and every update is made from all of them.

The loop runs eagerly. Chance depends on an episode's number alone, so any number of ranks plays the same episodes.
"""

import keras
import numpy as np
import tensorflow as tf

from tfdl import distributed

EPISODES = 4  # of each update, on all ranks together
UPDATES = 6
DISCOUNT = 0.9


class Pole:
    """A pole that falls away from upright. A push to the left or to the right keeps it up; a reward for each step."""

    def __init__(self, random):
        self.random = random
        self.angle, self.speed = random.uniform(-0.2, 0.2, 2)

    def state(self):
        return np.array([[self.angle, self.speed]], keras.config.floatx())

    def step(self, action):
        """Pushes the pole, and returns whether it still stands."""
        push = 0.3 if action == 1 else -0.3
        self.speed += 0.3 * self.angle + push + self.random.normal(0, 0.02)
        self.angle += self.speed
        return abs(self.angle) < 1


def play(model, random, longest=12):
    """Plays one episode.

    Returns:
        The logarithm of each action's probability, the critic's value of each state, and each step's reward.
    """
    pole = Pole(random)
    log_probabilities, values, rewards = [], [], []
    stands = True
    while stands and len(rewards) < longest:
        probabilities, value = model(pole.state())
        action = int(random.uniform() < probabilities[0, 1])
        stands = pole.step(action)
        log_probabilities.append(tf.math.log(probabilities[0, action]))
        values.append(value[0, 0])
        rewards.append(1.0 if stands else -1.0)
    return log_probabilities, values, rewards


def discounted_returns(rewards):
    returns = []
    total = 0.0
    for reward in reversed(rewards):
        total = reward + DISCOUNT * total
        returns.insert(0, total)
    return returns


def episode_loss(log_probabilities, values, rewards):
    """The sum of the actor's and the critic's losses over the steps of an episode."""
    values = tf.stack(values)
    returns = tf.constant(discounted_returns(rewards), values.dtype)
    advantages = tf.stop_gradient(returns - values)
    actor_loss = -tf.reduce_sum(tf.stack(log_probabilities) * advantages)
    critic_loss = tf.reduce_sum(tf.square(returns - values))
    return actor_loss + critic_loss


def train(world):
    inputs = keras.Input((2,))
    hidden = keras.layers.Dense(8, activation="relu")(inputs)
    action = keras.layers.Dense(2, activation="softmax")(hidden)
    critic = keras.layers.Dense(1)(hidden)
    model = keras.Model(inputs, [action, critic])
    optimizer = distributed.DistributedOptimizer(keras.optimizers.Adam(2e-2))

    replicas = distributed.Replicas(model, optimizer, check_every=2)
    replicas.broadcast()
    history = {"loss": [], "reward": []}
    for update in range(1, UPDATES + 1):
        losses = []
        reward = 0.0
        with tf.GradientTape() as tape:
            for episode in range(world.rank, EPISODES, world.size):
                random = np.random.default_rng((update, episode))
                log_probabilities, values, rewards = play(model, random)
                losses.append(episode_loss(log_probabilities, values, rewards))
                reward += sum(rewards)
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        replicas.check(update)
        history["loss"].append(float(world.all_reduce(loss, op="average")))
        history["reward"].append(float(world.all_reduce(np.float64(reward))) / EPISODES)
    replicas.finish(UPDATES)
    return model, history
