@file:Suppress("UNUSED_PARAMETER", "unused")

package com.google.mediapipe.tasks.core

class BaseOptions {
    class Builder {
        fun setModelAssetPath(path: String): Builder = this

        fun build() = BaseOptions()
    }

    companion object {
        @JvmStatic
        fun builder() = Builder()
    }
}
