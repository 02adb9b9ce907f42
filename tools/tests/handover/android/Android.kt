// What the classes of the hand-over use of Android, in as few lines as compile: pixels are ints in
// memory, a photo is scaled by its nearest pixels, and nothing else is real.

@file:Suppress("UNUSED_PARAMETER", "unused")

package android.graphics

import android.content.ContentResolver
import android.net.Uri

class Bitmap(val width: Int, val height: Int, val colors: IntArray) {
    enum class Config { ARGB_8888 }

    fun getPixels(into: IntArray, offset: Int, stride: Int, x: Int, y: Int, width: Int, height: Int) {
        for (row in 0 until height) for (column in 0 until width) {
            into[offset + row * stride + column] = colors[(y + row) * this.width + x + column]
        }
    }

    companion object {
        @JvmStatic
        fun createBitmap(width: Int, height: Int, config: Config): Bitmap =
            Bitmap(width, height, IntArray(width * height))

        @JvmStatic
        fun createBitmap(from: Bitmap, x: Int, y: Int, width: Int, height: Int): Bitmap {
            val colors = IntArray(width * height)
            from.getPixels(colors, 0, width, x, y, width, height)
            return Bitmap(width, height, colors)
        }

        @JvmStatic
        fun createBitmap(
            from: Bitmap, x: Int, y: Int, width: Int, height: Int, matrix: Matrix, filter: Boolean,
        ): Bitmap {
            // Clockwise, by quarters.
            var found = createBitmap(from, x, y, width, height)
            repeat(matrix.quarters) {
                val now = found
                found = Bitmap(now.height, now.width, IntArray(now.colors.size) {
                    val row = it / now.height
                    val column = it % now.height
                    now.colors[(now.height - 1 - column) * now.width + row]
                })
            }
            return found
        }

        @JvmStatic
        fun createScaledBitmap(from: Bitmap, width: Int, height: Int, filter: Boolean): Bitmap =
            Bitmap(width, height, IntArray(width * height) {
                val row = it / width * from.height / height
                val column = it % width * from.width / width
                from.colors[row * from.width + column]
            })
    }
}

class Matrix {
    var quarters = 0

    fun postRotate(degrees: Float): Boolean {
        quarters = (degrees / 90).toInt()
        return true
    }
}

class Paint

class Canvas(private val bitmap: Bitmap) {
    fun drawColor(color: Int) = bitmap.colors.fill(color)

    fun drawBitmap(from: Bitmap, left: Float, top: Float, paint: Paint?) {
        for (row in 0 until from.height) for (column in 0 until from.width) {
            val at = (top.toInt() + row) * bitmap.width + left.toInt() + column
            bitmap.colors[at] = from.colors[row * from.width + column]
        }
    }
}

object Color {
    const val BLACK = -0x1000000
}

class ImageDecoder {
    class Source
    class ImageInfo

    var allocator = 0

    fun interface OnHeaderDecodedListener {
        fun onHeaderDecoded(decoder: ImageDecoder, info: ImageInfo, source: Source)
    }

    companion object {
        const val ALLOCATOR_SOFTWARE = 1

        @JvmStatic
        fun createSource(resolver: ContentResolver, uri: Uri): Source = Source()

        @JvmStatic
        fun decodeBitmap(source: Source, listener: OnHeaderDecodedListener): Bitmap =
            throw UnsupportedOperationException()
    }
}
