"""tf.data pipelines and augmentation."""
