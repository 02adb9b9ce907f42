// Answers every text with two labels, the likelier one last.

@file:Suppress("UNUSED_PARAMETER", "unused")

package com.google.mediapipe.tasks.text.textclassifier

import android.content.Context
import com.google.mediapipe.tasks.core.BaseOptions

class Category(private val name: String, private val score: Float) {
    fun categoryName() = name

    fun score() = score
}

class Classifications(private val found: List<Category>) {
    fun categories() = found
}

class ClassificationResult(private val found: List<Category>) {
    fun classifications() = listOf(Classifications(found))
}

class TextClassifierResult(private val found: List<Category>) {
    fun classificationResult() = ClassificationResult(found)
}

class TextClassifier : AutoCloseable {
    class TextClassifierOptions {
        class Builder {
            fun setBaseOptions(options: BaseOptions): Builder = this

            fun build() = TextClassifierOptions()
        }

        companion object {
            @JvmStatic
            fun builder() = Builder()
        }
    }

    fun classify(text: String) =
        TextClassifierResult(listOf(Category("ham", 0.25f), Category("spam", 0.75f)))

    override fun close() = Unit

    companion object {
        @JvmStatic
        fun createFromOptions(context: Context, options: TextClassifierOptions) = TextClassifier()
    }
}
